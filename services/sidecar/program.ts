import { openSurroundings } from '../agent/connection.ts';
import type { Program } from '../agent/process.ts';
import { runApplication } from './application.ts';
import { parseSidecarConfig } from './config.ts';
import { startSidecar } from './sidecar.ts';

export const prepare: Program['prepare'] = () => {
  const config = parseSidecarConfig(process.env, process.argv.slice(2));
  return {
    drainTimeoutMs: config.drainTimeoutMs,
    start: async () => {
      const surroundings = await openSurroundings(config, (line) => console.log(line));
      const sidecar = await startSidecar(config, {
        ...surroundings,
        write: (text) => void process.stdout.write(text),
      });
      if (config.command.length === 0) return sidecar;
      const application = await runApplication(config.command);
      return {
        ended: application.ended,
        stop: (signal) => application.stop(signal),
        drain: (ms) => sidecar.drain(ms),
        close: () => sidecar.close(),
      };
    },
  };
};
