// What access control costs: tokens verified anew and from the cache, many rules, many keys, many revocations.
import { createHash } from 'node:crypto';
import type { AuthorizationPlan, ConsumerPlan, Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline, type PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import type { Outcome } from '#engine/pipeline/exchange.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import { fakeWeb } from '#test/support/fake-web.ts';
import { requestView } from '#test/support/request-view.ts';
import { planeView, rule, snapshot } from '#test/support/snapshot.ts';
import { ISSUER, issuerPlan, jwtAuthentication, keyPair, sign } from '#test/support/tokens.ts';

const ROUNDS = Number(process.argv[2] ?? 9);
const now = Math.floor(Date.now() / 1000);
const fresh = { iat: now, exp: now + 3600 };

const deps = (): PipelineDeps => ({
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  random: () => Math.random(),
  hash: (text) => createHash('sha256').update(text).digest('hex'),
  scrypt: () => Promise.reject(new Error('not in this bench')),
  state: createPipelineState(),
});

const figures: Record<string, number> = {};
const report = (name: string, value: number, unit: string) => {
  figures[name] = Math.round(value);
  console.log(`${name.padEnd(44)} ${String(figures[name]).padStart(9)} ${unit}`);
};

/** Lower quartile of CPU nanoseconds per call, in rounds that take turns. */
const compare = async (runs: Record<string, (count: number) => unknown>, count: number) => {
  const rounds = new Map<string, number[]>(Object.keys(runs).map((name) => [name, []]));
  for (let round = -2; round < ROUNDS; round += 1)
    for (const [name, values] of rounds) {
      const before = process.cpuUsage();
      await runs[name]?.(count);
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) values.push(((user + system) * 1000) / count);
    }
  return new Map(
    [...rounds].map(([name, values]) => [
      name,
      values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? 0,
    ]),
  );
};

const mustForward = (outcome: Outcome | Promise<Outcome>): void => {
  if (outcome instanceof Promise || outcome.type !== 'forward') throw new Error('not forwarded');
};

// Tokens.
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
const cold: Record<string, (count: number) => Promise<void>> = {};
const cached: Record<string, (count: number) => void> = {};
const COLD = 300;
for (const alg of algorithms) {
  const key = await keyPair(alg);
  const world = snapshot({
    rules: [rule({ authentications: ['a'] })],
    authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
  });
  const requests = await Promise.all(
    Array.from({ length: COLD }, async (_, i) =>
      requestView({
        headers: { authorization: `Bearer ${await sign(key, { ...fresh, sub: `user-${i}` })}` },
      }),
    ),
  );
  cold[alg] = async () => {
    const pipeline = createPipeline(planeView(world), deps());
    for (const request of requests) await pipeline.handle(request, 'r');
  };
  const warm = createPipeline(planeView(world), deps());
  for (const request of requests) await warm.handle(request, 'r');
  cached[alg] = (count) => {
    for (let i = 0; i < count; i += 1)
      mustForward(warm.handle(requests[i % COLD] ?? requestView(), 'r'));
  };
}
const told = { active: true, iss: ISSUER, sub: 'alice', exp: fresh.exp };
const introspecting = createPipeline(
  planeView(
    snapshot({
      rules: [rule({ authentications: ['a'] })],
      authentications: {
        a: {
          origin: { resource: 'a' },
          mode: 'required',
          methods: [
            {
              type: 'introspection',
              endpoint: 'https://id.bibby.com/introspect',
              clientId: 'weir',
              clientSecretFile: 'secret',
              cacheMs: 3_600_000,
              timeoutMs: 1000,
              audiences: [],
              claimsToHeaders: [['sub', 'X-User-ID']],
              forwardToken: true,
            },
          ],
        },
      },
    }),
  ),
  { ...deps(), web: fakeWeb(() => told), files: () => 'secret' },
);
const opaque = Array.from({ length: COLD }, (_, i) =>
  requestView({ headers: { authorization: `Bearer opaque-token-of-user-${i}` } }),
);
for (const request of opaque) await introspecting.handle(request, 'r');
cached['introspected'] = (count) => {
  for (let i = 0; i < count; i += 1)
    mustForward(introspecting.handle(opaque[i % COLD] ?? requestView(), 'r'));
};
const perSecond = (ns: number) => 1e9 / ns;
for (const [alg, ns] of await compare(cold, COLD))
  report(`${alg} verified anew`, perSecond(ns), 'per CPU second');
for (const [alg, ns] of await compare(cached, 20_000))
  report(`${alg} from the cache`, perSecond(ns), 'per CPU second');

// Rules.
const key = await keyPair('ES256');
const alice = requestView({
  url: '/catalog/books/7',
  headers: { authorization: `Bearer ${await sign(key, fresh)}` },
});
const ruleWorld = (rules: AuthorizationPlan['rules']): Snapshot =>
  snapshot({
    rules: [rule({ authentications: ['a'], authorizations: ['z'] })],
    authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
    authorizations: {
      z: { origin: { resource: 'z' }, action: 'ALLOW', mode: 'enforce', rules },
    },
  });
const ruleKinds: Record<
  string,
  (i: number, isLast: boolean) => AuthorizationPlan['rules'][number]
> = {
  path: (i, isLast) => ({
    from: [{ requestPrincipals: ['*'] }],
    to: [{ methods: ['GET'], paths: [isLast ? '/catalog/*' : `/service-${i}/*`] }],
  }),
  caller: (i, isLast) => ({
    from: [{ requestPrincipals: [`${ISSUER}/${isLast ? 'alice' : `user-${i}`}`] }],
    to: [{ methods: ['GET'] }],
  }),
  claim: (i, isLast) => ({
    when: [{ key: 'request.auth.claims[sub]', values: [isLast ? 'alice' : `user-${i}`] }],
  }),
};
const byRules: Record<string, (count: number) => void> = {};
for (const [kind, make] of Object.entries(ruleKinds))
  for (const count of [1, 10, 100, 1000]) {
    const rules = Array.from({ length: count }, (_, i) => make(i, i === count - 1));
    const pipeline = createPipeline(planeView(ruleWorld(rules)), deps());
    await pipeline.handle(alice, 'r');
    byRules[`${count} rules by ${kind}`] = (calls) => {
      for (let i = 0; i < calls; i += 1) mustForward(pipeline.handle(alice, 'r'));
    };
  }
for (const [name, ns] of await compare(byRules, 5000)) report(name, ns, 'CPU ns per request');

// Keys.
const apiKeys = (count: number): readonly ConsumerPlan[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `app-${i}`,
    groups: ['apps'],
    apiKeys: [
      {
        id: `k${i}`,
        salt: `salt-${i}`,
        hash: createHash('sha256').update(`salt-${i}k${i}.secret`).digest('hex'),
        expiresMs: 0,
      },
    ],
    certificates: [],
  }));
const byKeys: Record<string, (count: number) => void> = {};
for (const count of [1, 100_000]) {
  const world = snapshot({
    rules: [rule({ authentications: ['a'] })],
    authentications: {
      a: {
        origin: { resource: 'a' },
        mode: 'required',
        methods: [{ type: 'apiKey', header: 'x-api-key', forwardKey: false }],
      },
    },
    consumers: apiKeys(count),
  });
  const started = process.cpuUsage();
  const pipeline = createPipeline(planeView(world), deps());
  const { user, system } = process.cpuUsage(started);
  report(`activation with ${count} API keys`, (user + system) / 1000, 'CPU ms');
  const good = requestView({ headers: { 'x-api-key': `k${count - 1}.secret` } });
  const guess = requestView({ headers: { 'x-api-key': 'guess' } });
  byKeys[`the right one of ${count} API keys`] = (calls) => {
    for (let i = 0; i < calls; i += 1) mustForward(pipeline.handle(good, 'r'));
  };
  byKeys[`a guess among ${count} API keys`] = (calls) => {
    for (let i = 0; i < calls; i += 1) void pipeline.handle(guess, 'r');
  };
}
for (const [name, ns] of await compare(byKeys, 5000)) report(name, ns, 'CPU ns per request');

// Revocations.
const byRevocations: Record<string, (count: number) => void> = {};
for (const count of [0, 1, 100_000]) {
  const expiresMs = (now + 3600) * 1000;
  const world = {
    ...ruleWorld([{}]),
    standing: Array.from({ length: count }, (_, i) => ({
      id: `revocation:jti:${i}`,
      serial: 1,
      body: { type: 'revocation', target: `jti:${i}`, expiresMs } as const,
      by: 'operator:bench',
      reason: '',
    })),
  };
  const pipeline = createPipeline(planeView(world), deps());
  await pipeline.handle(alice, 'r');
  byRevocations[`${count} revocations`] = (calls) => {
    for (let i = 0; i < calls; i += 1) mustForward(pipeline.handle(alice, 'r'));
  };
}
for (const [name, ns] of await compare(byRevocations, 20_000))
  report(name, ns, 'CPU ns per request');

console.log(JSON.stringify({ bench: 'access', ...figures }));
