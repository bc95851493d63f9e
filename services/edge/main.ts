import { runProcess } from '../agent/process.ts';

await runProcess('edge', () => import('./program.ts'));
