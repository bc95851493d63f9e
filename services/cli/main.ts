import { fileURLToPath } from 'node:url';
import { runWeir } from './program.ts';
import { processSurroundings } from './surroundings.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
process.exitCode = await runWeir(process.argv.slice(2), processSurroundings(root));
