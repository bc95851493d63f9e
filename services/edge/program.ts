import { openSurroundings } from '../agent/connection.ts';
import { mustBeFree } from '../agent/free-port.ts';
import type { Program } from '../agent/process.ts';
import { isWorker, startWorkers, tellParent } from '../agent/workers.ts';
import { type EdgeConfig, parseEdgeConfig, workerEnvironment, workerName } from './config.ts';
import { type Edge, startEdge } from './edge.ts';

export const prepare: Program['prepare'] = () => {
  const config = parseEdgeConfig(process.env);
  const { drainTimeoutMs, workers } = config;
  if (workers !== undefined && !isWorker())
    return { drainTimeoutMs, start: () => startParent(config, workers) };
  return { drainTimeoutMs, start: () => startOne(config) };
};

const startParent = async (config: EdgeConfig, count: number) => {
  await mustBeFreeAll(config);
  const { agent, drainTimeoutMs } = config;
  const workers = startWorkers({
    count,
    envOf: (number) => workerEnvironment(config, number),
    nameOf: (number) => workerName(agent, number),
    stopTimeoutMs: drainTimeoutMs,
    log: (line) => console.log(line),
  });
  process.on('SIGHUP', () => void workers.restart());
  return workers;
};

const startOne = async (config: EdgeConfig): Promise<Edge> => {
  // The parent holds the ports of its workers; those that share them cannot tell.
  if (!isWorker() && !config.reusePort) await mustBeFreeAll(config);
  const prefix = isWorker() ? `${config.agent}: ` : '';
  const surroundings = await openSurroundings(config, (line) => console.log(`${prefix}${line}`));
  const edge = await startEdge(config, {
    ...surroundings,
    write: (text) => void process.stdout.write(text),
  });
  tellParent({ weir: 'up' });
  const stopLooking = surroundings.time.every(LOOK_MS, () => {
    if (!edge.status().isReady) return;
    stopLooking();
    tellParent({ weir: 'ready' });
  });
  return edge;
};

const LOOK_MS = 20;

const mustBeFreeAll = async ({ listenPorts }: EdgeConfig): Promise<void> => {
  for (const port of listenPorts.values())
    await mustBeFree({ host: '0.0.0.0', port }, 'WEIR_LISTEN_PORTS');
};
