// `npm run e2e:breaker`: one endpoint of four begins to fail every request, behind real processes (nats-server, control, three
// edges), at 50 and 500 requests per second, with breakers shared by the fleet and without. Tells how many callers saw an
// error and for how long. The last line is JSON; exit code 1 if a goal is missed. Takes about a minute.
import { type ChildProcess, spawn } from 'node:child_process';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApplyAnswer } from '#engine/model/api.ts';
import { all, gateway } from '#test/services/control/documents.ts';
import { pause, TestInstallation } from '#test/services/control/installation.ts';

const EDGES = ['edge-1', 'edge-2', 'edge-3'];
const WATCH_MS = 6_000;
/** Those of the analysis for an endpoint that fails everything, and two seconds for the way. */
const goals = [
  { rate: 50, errors: 130, seconds: 27 },
  { rate: 500, errors: 200, seconds: 6 },
] as const;
type Scope = 'fleet' | 'local';
interface Result {
  readonly rate: number;
  readonly scope: Scope;
  readonly errors: number;
  readonly seconds: number;
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let isBad = false;
const servers: Server[] = [];
const backend = async (turnsBad: boolean): Promise<number> => {
  const server = createServer((_request, response) => {
    response.statusCode = turnsBad && isBad ? 500 : 200;
    response.end('x');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

const policy = (scope: Scope, ports: readonly number[]): string =>
  all(
    gateway,
    `apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog, namespace: bibby }
spec:
  endpoints: [${ports.map((port) => `{ address: 127.0.0.1, port: ${port} }`).join(', ')}]
  outlierDetection: { scope: ${scope} }
`,
    `apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog, namespace: bibby }
spec: { parentRefs: [{ name: public }], rules: [{ backends: [{ service: catalog }] }] }
`,
  );

const startEdge = async (
  place: TestInstallation,
  agent: string,
): Promise<{ readonly child: ChildProcess; readonly port: number }> => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const child = spawn(process.execPath, ['services/edge/main.ts'], {
    env: {
      ...process.env,
      WEIR_HOME: place.installation.home,
      WEIR_NATS_URL: place.nats.url,
      WEIR_AGENT: agent,
      WEIR_GATEWAY: 'public',
      WEIR_LISTEN_PORTS: `8080=${port}`,
    },
    stdio: 'ignore',
  });
  return { child, port };
};

interface Seen {
  errors: number;
  lastMs: number;
}
const keepAlive = new Agent({ keepAlive: true });

const call = (port: number, seen: Seen): Promise<void> =>
  new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', path: '/', agent: keepAlive }, (response) => {
      response.resume();
      if (response.statusCode === 500) {
        seen.errors += 1;
        seen.lastMs = performance.now();
      }
      response.on('end', resolve);
    });
    asked.on('error', () => resolve());
    asked.end();
  });

/** Open loop: a slow answer does not hold the next request back. */
const drive = (ports: readonly number[], rate: number, seen: Seen): (() => void) => {
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (; sent < ((performance.now() - startedMs) * rate) / 1000; sent += 1)
      void call(ports[sent % ports.length] ?? 0, seen);
  }, 5);
  return () => clearInterval(timer);
};

const round = async (
  place: TestInstallation,
  url: string,
  { rate, scope, edges }: { rate: number; scope: Scope; edges: readonly number[] },
): Promise<Result> => {
  isBad = false;
  const ports = await Promise.all([true, false, false, false].map(backend));
  const { wait } = await place.post<ApplyAnswer>(url, '/v1/policy', {
    documents: [{ file: 'breaker.yaml', text: policy(scope, ports) }],
    allOrNothing: true,
    wait: { percent: 100, timeoutMs: 30_000 },
  });
  if (!wait?.reached) throw new Error('the edges did not get the policy');
  const seen: Seen = { errors: 0, lastMs: 0 };
  const stop = drive(edges, rate, seen);
  await pause(3_000);
  isBad = true;
  const badMs = performance.now();
  await pause(WATCH_MS);
  stop();
  const seconds = seen.errors === 0 ? 0 : (seen.lastMs - badMs) / 1000;
  const result = { rate, scope, errors: seen.errors, seconds: Number(seconds.toFixed(2)) };
  say(`${rate} rps, ${scope}: ${result.errors} errors in ${result.seconds} s`);
  return result;
};

const place = await TestInstallation.create(
  EDGES.map((name) => ({ name, scope: 'edge.public' as const })),
);
const children: ChildProcess[] = [];
try {
  const { url } = await place.control();
  const edges = await Promise.all(EDGES.map((name) => startEdge(place, name)));
  children.push(...edges.map(({ child }) => child));
  await pause(3_000);
  const results: Result[] = [];
  for (const { rate } of goals)
    for (const scope of ['fleet', 'local'] as const)
      results.push(await round(place, url, { rate, scope, edges: edges.map(({ port }) => port) }));
  const isMet = goals.every(({ rate, errors, seconds }) =>
    results.some(
      (one) =>
        one.rate === rate &&
        one.scope === 'fleet' &&
        one.errors <= errors &&
        one.seconds <= seconds,
    ),
  );
  say(JSON.stringify({ results, goals, isMet }));
  process.exitCode = isMet ? 0 : 1;
} finally {
  for (const child of children) child.kill('SIGTERM');
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
  keepAlive.destroy();
  await place.close();
}
