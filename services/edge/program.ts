import { openSurroundings } from '../agent/connection.ts';
import { mustBeFree } from '../agent/free-port.ts';
import type { Program } from '../agent/process.ts';
import { parseEdgeConfig } from './config.ts';
import { startEdge } from './edge.ts';

export const prepare: Program['prepare'] = () => {
  const config = parseEdgeConfig(process.env);
  return {
    drainTimeoutMs: config.drainTimeoutMs,
    start: async () => {
      for (const port of config.listenPorts.values())
        await mustBeFree({ host: '0.0.0.0', port }, 'WEIR_LISTEN_PORTS');
      const surroundings = await openSurroundings(config, (line) => console.log(line));
      return await startEdge(config, {
        ...surroundings,
        write: (text) => void process.stdout.write(text),
      });
    },
  };
};
