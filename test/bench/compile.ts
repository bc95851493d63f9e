// How long a policy set of 1,000 Routes takes to compile: read for the first time, and again after one Route changed.
// CPU time, so that a busy machine disturbs it little; the lower quartile of several rounds.
import { type Compiled, compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import type { Source } from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';

const ROUTES = Number(process.argv[2] ?? 1000);
const ROUNDS = Number(process.argv[3] ?? 9);
const SERVICES = 50;
const HOSTS = 100;

const gateway = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, port: 8080 }] }
`;
const service = (n: number) => `apiVersion: weir.dev/v1
kind: Service
metadata: { name: s${n} }
spec: { endpoints: [{ address: 10.0.0.${n} }] }
`;
const route = (n: number, timeout = '5s') => `apiVersion: weir.dev/v1
kind: Route
metadata: { name: r${n} }
spec:
  parentRefs: [{ name: public }]
  hosts: [h${n % HOSTS}.example.com]
  rules:
    - name: read
      matches: [{ path: { prefix: /api/v1/r${n} }, methods: [GET, HEAD] }]
      strip: true
      timeout: ${timeout}
      retry: { attempts: 2 }
      backends: [{ service: s${n % SERVICES} }]
    - name: write
      matches: [{ path: { prefix: /api/v1/r${n} }, methods: [POST] }]
      backends: [{ service: s${n % SERVICES} }]
`;

const documents = [
  gateway,
  ...Array.from({ length: SERVICES }, (_, n) => service(n)),
  ...Array.from({ length: ROUTES }, (_, n) => route(n)),
];

const sourcesOf = (texts: readonly string[]): Map<ResourceId, Source> =>
  new Map(
    readDocuments([{ file: 'bench.yaml', text: texts.join('---\n') }]).documents.map(
      ({ id, source }) => [id, source],
    ),
  );

const run = (sources: ReadonlyMap<ResourceId, Source>): Compiled =>
  compile({
    sources,
    standing: new Map(),
    workloads: [],
    capabilities: () => undefined,
    files: () => undefined,
  });

const cpuMs = (work: () => Compiled): number => {
  const before = process.cpuUsage();
  const { diagnostics } = work();
  const { user, system } = process.cpuUsage(before);
  if (diagnostics.length > 0) throw new Error(diagnostics[0]?.message);
  return (user + system) / 1000;
};

const quartile = (times: readonly number[]): number =>
  Number((times.toSorted((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0).toFixed(1));

const kept = sourcesOf(documents);
run(kept);
const cold: number[] = [];
const warm: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  // Sources that were never seen before are parsed and validated again.
  const fresh = new Map([...kept].map(([id, source]) => [id, { ...source }]));
  cold.push(cpuMs(() => run(fresh)));
  const [changed] = sourcesOf([route(0, `${round + 1}s`)]);
  if (changed) kept.set(...changed);
  warm.push(cpuMs(() => run(kept)));
}
const bytes = JSON.stringify([...run(kept).snapshots]).length;
console.log(`${ROUTES} routes, ${bytes} bytes of snapshot`);
console.log(
  `read, validated and compiled: ${quartile(cold)} ms; after one change: ${quartile(warm)} ms`,
);
console.log(
  JSON.stringify({
    bench: 'compile',
    routes: ROUTES,
    coldMs: quartile(cold),
    warmMs: quartile(warm),
    bytes,
  }),
);
