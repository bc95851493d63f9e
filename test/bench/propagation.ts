// From a commit to "applied and acked" on every agent: real nats-server with accounts, control as its own process, agents
// that verify and fold, each over its own connection, in two more processes. Beside it, in the same run, the bare round
// trip of NATS.
// Usage: propagation.ts [agents] [commits]. The last line is one line of JSON.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ApplyAnswer } from '#engine/model/api.ts';
import { subjects } from '#engine/model/subjects.ts';
import type { Ack } from '#engine/model/telemetry.ts';
import { bibby, route } from '#test/services/control/documents.ts';
import { eventually, pause, TestInstallation } from '#test/services/control/installation.ts';

const AGENTS = Number(process.argv[2] ?? 50);
const COMMITS = Number(process.argv[3] ?? 200);
const TARGET_P99_MS = 250;
/** So that the machine comes to rest between two commits, as between two people who work. */
const PAUSE_MS = 20;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = <T>(data: Uint8Array): T => JSON.parse(new TextDecoder().decode(data)) as T;
const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
const round = (value: number): number => Math.round(value * 100) / 100;

const names = Array.from({ length: AGENTS }, (_, index) => `edge-${index + 1}`);
const place = await TestInstallation.create(names.map((name) => ({ name, scope: 'edge.public' })));

/** They end with this process, whose end closes their input. */
const startAgents = async (agents: readonly string[]): Promise<void> => {
  const { trustedKeys, home } = place.installation;
  const program = join(import.meta.dirname, 'propagation-agents.ts');
  const child = spawn(
    process.execPath,
    [program, place.nats.url, trustedKeys, join(home, 'credentials'), ...agents],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  child.unref();
};

try {
  const control = await place.control();
  await eventually('control is ready', async () => (await fetch(`${control.url}/ready`)).ok);
  const watcher = await place.connect('control');
  const operator = await place.connect('operator');
  const api = subjects().api('policy', 'apply');
  const apply = async (text: string): Promise<ApplyAnswer> =>
    decode(await operator.bus.request(api, encode(text), 10_000));

  let waitingFor = 0;
  let missing = new Set<string>();
  let done: () => void = () => {};
  const acks = watcher.bus.subscribe(subjects().everyAck);
  void (async () => {
    for await (const { data } of acks) {
      const ack = decode<Ack>(data);
      if (ack.outcome !== 'applied' || ack.revision < waitingFor) continue;
      missing.delete(ack.agent);
      if (missing.size === 0) done();
    }
  })();

  await apply(bibby);
  const half = Math.ceil(AGENTS / 2);
  await Promise.all([startAgents(names.slice(0, half)), startAgents(names.slice(half))]);
  await pause(2000);

  // The bare round trip, over connections of the same kind.
  const echo = watcher.bus.serve('weir.default.api.bench.echo', 'bench', async ({ data }) => data);
  await pause(200);

  const propagation: number[] = [];
  const committed: number[] = [];
  const bare: number[] = [];
  for (let count = 0; count < COMMITS + 10; count += 1) {
    const isWarm = count >= 10;
    await pause(PAUSE_MS);
    const bareStartMs = performance.now();
    await watcher.bus.request('weir.default.api.bench.echo', encode('x'.repeat(1024)), 1000);
    const bareMs = performance.now() - bareStartMs;

    waitingFor = count + 2;
    missing = new Set(names);
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const startedMs = performance.now();
    const { revision } = await apply(route('/catalog', `${(count % 50) + 2}s`));
    const committedMs = performance.now() - startedMs;
    if (revision !== waitingFor) throw new Error(`revision ${revision}, not ${waitingFor}`);
    await all;
    if (!isWarm) continue;
    propagation.push(performance.now() - startedMs);
    committed.push(committedMs);
    bare.push(bareMs);
  }
  echo.close();
  acks.close();

  const figures = {
    bench: 'propagation',
    agents: AGENTS,
    commits: COMMITS,
    p50Ms: round(quantile(propagation, 0.5)),
    p99Ms: round(quantile(propagation, 0.99)),
    maxMs: round(Math.max(...propagation)),
    commitAnsweredP50Ms: round(quantile(committed, 0.5)),
    bareRoundTripP50Ms: round(quantile(bare, 0.5)),
    bareRoundTripP99Ms: round(quantile(bare, 0.99)),
    ratioP50: round(quantile(propagation, 0.5) / quantile(bare, 0.5)),
    ratioP99: round(quantile(propagation, 0.99) / quantile(bare, 0.99)),
    targetP99Ms: TARGET_P99_MS,
    met: quantile(propagation, 0.99) < TARGET_P99_MS,
  };
  console.log(`${COMMITS} commits, each applied and acked on all ${AGENTS} agents`);
  console.log(`  commit to last ack   p50 ${figures.p50Ms} ms   p99 ${figures.p99Ms} ms`);
  console.log(`  commit answered      p50 ${figures.commitAnsweredP50Ms} ms`);
  console.log(
    `  bare NATS round trip p50 ${figures.bareRoundTripP50Ms} ms   p99 ${figures.bareRoundTripP99Ms} ms   ratio ${figures.ratioP50}`,
  );
  console.log(JSON.stringify(figures));
  await control.stop();
} finally {
  await place.close();
}
process.exit(0);
