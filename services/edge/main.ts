import { openSurroundings } from '../agent/connection.ts';
import { runProcess } from '../agent/process.ts';
import { parseEdgeConfig } from './config.ts';
import { startEdge } from './edge.ts';

await runProcess('edge', () => {
  const config = parseEdgeConfig(process.env);
  return {
    drainTimeoutMs: config.drainTimeoutMs,
    start: async () => {
      const surroundings = await openSurroundings(config, (line) => console.log(line));
      return await startEdge(config, {
        ...surroundings,
        write: (text) => void process.stdout.write(text),
      });
    },
  };
});
