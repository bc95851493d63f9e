// From the wish to revoke a token to 401 at every edge: real nats-server with accounts, control as its own process, real
// edges with sockets, each with its own connections, in two more processes.
// Usage: revocation.ts [edges] [revocations]. The last line is one line of JSON.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { ApplyAnswer, RevocationAnswer } from '#engine/model/api.ts';
import { eventually, pause, TestInstallation } from '#test/services/control/installation.ts';
import { ISSUER, keyPair, sign } from '#test/support/tokens.ts';

const EDGES = Number(process.argv[2] ?? 50);
const REVOCATIONS = Number(process.argv[3] ?? 100);
const TARGET_P99_MS = 500;

const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
const round = (value: number): number => Math.round(value * 10) / 10;
const key = await keyPair('ES256');
const now = Math.floor(Date.now() / 1000);

const policy = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec: { listeners: [{ name: http, port: 8080, protocol: HTTP }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: all, namespace: bibby }
spec: { parentRefs: [{ name: public }], rules: [{ respond: { status: 200, body: in } }] }
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: readers, namespace: bibby }
spec:
  targetRefs: [{ kind: Gateway, name: public }]
  methods:
    - jwt:
        issuers:
          - { issuer: '${ISSUER}', audiences: [bibby], jwks: { keys: [${JSON.stringify(key.jwk)}] } }
`;

const names = Array.from({ length: EDGES }, (_, index) => `edge-${index + 1}`);
const place = await TestInstallation.create(names.map((name) => ({ name, scope: 'edge.public' })));
type Child = ChildProcessByStdio<Writable, Readable, null>;
const children: Child[] = [];
let armed = 0;
let ready = 0;
let refusedMs: number[] = [];

const start = (agents: readonly string[]): void => {
  const { trustedKeys, home } = place.installation;
  const program = join(import.meta.dirname, 'revocation-agents.ts');
  const options = [place.nats.url, trustedKeys, join(home, 'credentials'), ...agents];
  const child = spawn(process.execPath, [program, ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') ready += 1;
    else if (line === 'armed') armed += 1;
    else refusedMs.push(Number(line.split(' ')[1]));
  });
};

try {
  const control = await place.control();
  await eventually('control is ready', async () => (await fetch(`${control.url}/ready`)).ok);
  const documents = [{ file: 'policy.yaml', text: policy }];
  const { diagnostics } = await place.post<ApplyAnswer>(control.url, '/v1/policy', { documents });
  if (diagnostics.some(({ severity }) => severity === 'error'))
    throw new Error(JSON.stringify(diagnostics));
  const half = Math.ceil(EDGES / 2);
  start(names.slice(0, half));
  start(names.slice(half));
  await eventually('the edges run', () => ready === children.length, 60_000);
  await pause(2000);

  const last: number[] = [];
  const each: number[] = [];
  for (let count = 0; count < REVOCATIONS + 5; count += 1) {
    const jti = `token-${count}`;
    const token = await sign(key, { jti, iat: now, exp: now + 3600 });
    [armed, refusedMs] = [0, []];
    for (const child of children) child.stdin.write(`${token}\n`);
    await eventually('every edge lets it in', () => armed === children.length, 30_000);
    const startedMs = performance.timeOrigin + performance.now();
    const body = { target: `jti:${jti}`, ttlMs: 60_000 };
    await place.post<RevocationAnswer>(control.url, '/v1/revocations', body, 'admin');
    await eventually('every edge refuses it', () => refusedMs.length === EDGES, 30_000);
    if (count < 5) continue;
    last.push(Math.max(...refusedMs) - startedMs);
    each.push(...refusedMs.map((ms) => ms - startedMs));
  }
  const figures = {
    bench: 'revocation',
    edges: EDGES,
    revocations: REVOCATIONS,
    p50Ms: round(quantile(each, 0.5)),
    p99Ms: round(quantile(each, 0.99)),
    lastEdgeP50Ms: round(quantile(last, 0.5)),
    lastEdgeP99Ms: round(quantile(last, 0.99)),
    targetP99Ms: TARGET_P99_MS,
    met: quantile(last, 0.99) < TARGET_P99_MS,
  };
  console.log(`${REVOCATIONS} tokens revoked, each refused by all ${EDGES} edges`);
  console.log(`  wish to 401 at an edge       p50 ${figures.p50Ms} ms   p99 ${figures.p99Ms} ms`);
  console.log(
    `  wish to 401 at the last edge p50 ${figures.lastEdgeP50Ms} ms   p99 ${figures.lastEdgeP99Ms} ms`,
  );
  console.log(JSON.stringify(figures));
  for (const child of children) child.stdin.end();
  await control.stop();
} finally {
  await place.close();
}
process.exit(0);
