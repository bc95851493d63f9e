import { runProcess } from '../agent/process.ts';

await runProcess('sidecar', () => import('./program.ts'));
