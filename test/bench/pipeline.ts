// CPU nanoseconds per request through the pipeline alone: no sockets, a request view that is made once. Each figure is
// the lower quartile of rounds that take turns, so that a busy machine disturbs them little and all alike.
import { createHash } from 'node:crypto';
import type { AuthorizationPlan, QuotaPlan, Rule, Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import type { RequestView } from '#engine/pipeline/exchange.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import { requestView } from '#test/support/request-view.ts';
import { forwardTo, planeView, rule, snapshot, split } from '#test/support/snapshot.ts';
import { issuerPlan, jwtAuthentication, keyPair, sign } from '#test/support/tokens.ts';

const ROUNDS = Number(process.argv[2] ?? 15);
const PER_ROUND = 20_000;
/** `node test/bench/pipeline.ts 50 'five filters'` runs some only. */
const ONLY = process.argv[3] ?? '';
const catalog = 'bibby/catalog-service';

const key = await keyPair('RS256');
const now = Math.floor(Date.now() / 1000);
const token = await sign(key, { iat: now, exp: now + 3600, roles: ['reader', 'librarian'] });

const quota = (facts: Partial<QuotaPlan>): QuotaPlan => ({
  id: 'bibby/per-user',
  origin: { resource: 'Quota/bibby/per-user' },
  mode: 'enforce',
  by: 'caller',
  limits: [{ requests: 1_000_000_000, windowMs: 3_600_000 }],
  scope: 'local',
  algorithm: 'sliding',
  headers: true,
  status: 429,
  ...facts,
});
const allow = (rules: AuthorizationPlan['rules']): AuthorizationPlan => ({
  origin: { resource: 'Authorization/bibby/readers' },
  action: 'ALLOW',
  mode: 'enforce',
  rules,
});
const readers = allow([
  { to: [{ methods: ['GET'], paths: ['/catalog/*'] }], from: [{ requestPrincipals: ['*'] }] },
]);

const splitAction = forwardTo('', {
  backends: [{ weight: 1, split: catalog }],
  rewrite: { stripPrefix: '/catalog' },
});
const plain: Partial<Rule> = { action: splitAction };
const five: Partial<Rule> = {
  ...plain,
  authentications: ['readers'],
  authorizations: ['readers'],
  quotas: ['user'],
  cors: {
    origins: ['https://bibby.com'],
    methods: ['GET'],
    headers: [],
    exposedHeaders: ['X-Request-ID'],
    maxAgeSeconds: 3600,
    credentials: true,
  },
  requestHeaders: { set: [['X-Gateway', 'weir']], add: [], remove: ['X-Debug'] },
};
const all: Partial<Rule> = {
  ...five,
  quotas: ['address', 'user'],
  authorizations: ['addresses', 'readers'],
  responseHeaders: { set: [['X-Frame-Options', 'DENY']], add: [], remove: ['Server'] },
  envelope: { version: '1.0', maxBytes: 65_536 },
  fault: { delayMs: 1, delayPercent: 0, abortStatus: 503, abortPercent: 0 },
  sticky: { by: 'caller', name: '' },
};

const routes = (count: number, target: Partial<Rule>): readonly Rule[] => {
  const rules = Array.from({ length: count - 1 }, (_, i) =>
    rule({ id: `r${i}`, match: { path: { type: 'segmentPrefix', value: `/service-${i}/api` } } }),
  );
  const match = { path: { type: 'segmentPrefix' as const, value: '/catalog' } };
  return [...rules, rule({ id: 'catalog', ...target, match })];
};

const world = (rules: readonly Rule[], more: Partial<Snapshot> = {}): Snapshot =>
  snapshot({
    rules,
    splits: { [catalog]: split(catalog, { 'v1.0': 9000, 'v1.1': 1000 }) },
    authentications: { readers: jwtAuthentication([issuerPlan([key.jwk])]) },
    authorizations: {
      readers,
      addresses: {
        ...readers,
        action: 'DENY',
        rules: [{ from: [{ remoteIpBlocks: ['192.0.2.0/24'] }] }],
      },
    },
    quotas: { user: quota({}), address: quota({ id: 'bibby/per-address', by: 'address' }) },
    ...more,
  });

const rulesAtSeparatePaths = (count: number) =>
  allow(
    Array.from({ length: count }, (_, i) => ({
      from: [{ requestPrincipals: ['*'] }],
      to: [{ methods: ['GET'], paths: [i === count - 1 ? '/catalog/*' : `/service-${i}/*`] }],
    })),
  );
const rulesForSeparateCallers = (count: number) =>
  allow(
    Array.from({ length: count }, (_, i) => ({
      from: [
        { requestPrincipals: [`https://id.bibby.com/${i === count - 1 ? 'alice' : `user-${i}`}`] },
      ],
      to: [{ methods: ['GET'] }],
    })),
  );

const request = requestView({
  url: '/catalog/books/7?page=2',
  headers: {
    authorization: `Bearer ${token}`,
    origin: 'https://bibby.com',
    'user-agent': 'bench',
    accept: 'application/json',
  },
});
const answer = { status: 200, header: () => undefined };

const candidate = async (of: Snapshot, view: RequestView = request) => {
  const pipeline = createPipeline(planeView(of), {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    random: () => Math.random(),
    hash: (text) => createHash('sha256').update(text).digest('hex'),
    scrypt: () => Promise.reject(new Error('not in this bench')),
    state: createPipelineState(),
  });
  await pipeline.handle(view, 'request-1');
  return () => {
    for (let i = 0; i < PER_ROUND; i += 1) {
      const outcome = pipeline.handle(view, 'request-1');
      if (outcome instanceof Promise || outcome.type !== 'forward')
        throw new Error('the bench measures requests that are forwarded at once');
      pipeline.respond(outcome.exchange, answer);
    }
  };
};

const withRules = (plan: AuthorizationPlan) =>
  candidate(
    world(routes(10, { ...plain, authentications: ['readers'], authorizations: ['readers'] }), {
      authorizations: { readers: plan },
    }),
  );

const candidates: Record<string, () => void> = {
  'no filters, 10 routes': await candidate(world(routes(10, plain))),
  'no filters, 1000 routes': await candidate(world(routes(1000, plain))),
  'five filters, 10 routes': await candidate(world(routes(10, five))),
  'five filters, 1000 routes': await candidate(world(routes(1000, five))),
  'all filters, 10 routes': await candidate(world(routes(10, all))),
  'all filters, 1000 routes': await candidate(world(routes(1000, all))),
};
for (const count of [1, 10, 100, 1000]) {
  candidates[`jwt + ${count} rules by path`] = await withRules(rulesAtSeparatePaths(count));
  candidates[`jwt + ${count} rules by caller`] = await withRules(rulesForSeparateCallers(count));
}

const rounds = new Map<string, number[]>(
  Object.keys(candidates)
    .filter((name) => name.includes(ONLY))
    .map((name) => [name, []]),
);
for (let round = -2; round < ROUNDS; round += 1)
  for (const [name, figures] of rounds) {
    const before = process.cpuUsage();
    candidates[name]?.();
    const { user, system } = process.cpuUsage(before);
    const ns = ((user + system) * 1000) / PER_ROUND;
    if (round >= 0) figures.push(ns);
  }

const figures: Record<string, number> = {};
for (const [name, values] of rounds) {
  const figure = values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? 0;
  figures[name] = Math.round(figure);
  console.log(`${name.padEnd(30)} ${String(figures[name]).padStart(7)} ns`);
}
console.log(JSON.stringify({ bench: 'pipeline', unit: 'CPU ns per request', ...figures }));
