// Restarts an edge under load, again and again, and counts requests that fail. `npm run chaos:restarts`.
// WEIR_RESTARTS: how often, 100. WEIR_RATE: requests per second, 500. WEIR_RESTART_BY: `worker` (a parent holds the port) or
// `process` (old and new share it by SO_REUSEPORT; without loss only where net.ipv4.tcp_migrate_req is 1).
import { createRestartWorld, type RestartWorld } from '../chaos/restart-world.ts';

const times = Number(process.env['WEIR_RESTARTS'] ?? 100);
const rate = Number(process.env['WEIR_RATE'] ?? 500);
const by = process.env['WEIR_RESTART_BY'] ?? 'worker';

/** Each call restarts once, and resolves when the old one is gone. */
const byWorker = async (world: RestartWorld): Promise<() => Promise<void>> => {
  const parent = world.start({ WEIR_WORKERS: '1' });
  await parent.line(/^edge: admin address/);
  return async () => {
    const before = parent.lines.length;
    parent.signal('SIGHUP');
    while (!parent.lines.slice(before).some((line) => line.endsWith('is replaced')))
      await new Promise((resolve) => setTimeout(resolve, 20));
  };
};

const byProcess = async (world: RestartWorld): Promise<() => Promise<void>> => {
  const start = async () => {
    const one = world.start({ WEIR_REUSE_PORT: 'on' });
    await one.line(/^admin address/);
    return one;
  };
  let old = await start();
  return async () => {
    const fresh = await start();
    old.signal('SIGTERM');
    await old.exited;
    old = fresh;
  };
};

const world = await createRestartWorld(['edge']);
const restart = await (by === 'process' ? byProcess(world) : byWorker(world));
const callers = world.load(rate);
const startedAt = performance.now();
for (let i = 0; i < times; i++) {
  await restart();
  if ((i + 1) % 10 === 0)
    console.log(
      `${i + 1} restarts, ${callers.requests} requests, ${callers.failures.length} failed`,
    );
}
await callers.stop();
const seconds = Math.round((performance.now() - startedAt) / 1000);
const { requests, failures } = callers;
const kinds: Record<string, number> = {};
for (const failure of failures) kinds[failure] = (kinds[failure] ?? 0) + 1;
await world.close();
console.log(
  JSON.stringify({ by, restarts: times, rate, seconds, requests, failed: failures.length, kinds }),
);
process.exitCode = failures.length === 0 ? 0 : 1;
