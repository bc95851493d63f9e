import { afterEach, expect, it } from 'vitest';
import type { KeyAddress, KeyNews, KeySet, Keys } from '#engine/ports/keys.ts';
import { Queue } from '#engine/ports/queue.ts';
import { all, bibby } from './documents.ts';
import { World } from './world.ts';

const authentication = `apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: readers, namespace: bibby }
spec:
  targetRefs: [{ kind: Route, name: catalog }]
  mode: required
  methods:
    - jwt:
        issuers:
          - issuer: https://issuer.example
            audiences: [bibby]
            algorithms: [ES256]
            jwksUri: https://issuer.example/keys
`;

const key = {
  kty: 'EC',
  crv: 'P-256',
  kid: 'one',
  alg: 'ES256',
  use: 'sig',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
};

const fakeKeys = () => {
  const news = new Queue<KeyNews>();
  let followed: readonly KeyAddress[] = [];
  let set: KeySet | undefined;
  const keys: Keys = {
    follow: async (addresses) => {
      followed = addresses;
    },
    current: () => set,
    miss: () => {},
    news: () => news,
    close: () => news.close(),
  };
  return {
    keys,
    followed: () => followed,
    answer: (found: KeySet) => {
      set = found;
      const [address] = followed;
      if (address) news.push({ type: 'rotated', address });
    },
  };
};

const world = new World();
afterEach(() => world.stop());

it('keys that were fetched are still there after a restart while their issuer is away', async () => {
  const before = fakeKeys();
  await world.start('control-1', { keys: before.keys });
  const edge = await world.agent('edge-1', 'edge.public');
  await world.apply(all(bibby, authentication));
  const keysOf = () =>
    Object.values(edge.snapshot?.authentications ?? {}).flatMap(({ methods }) =>
      methods.flatMap((method) => (method.type === 'jwt' ? method.issuers : [])),
    )[0]?.keys;
  await world.until('the policy is there', () => keysOf()?.length === 0);
  expect(before.followed()).toEqual([{ type: 'jwks', uri: 'https://issuer.example/keys' }]);
  before.answer({ keys: [key] });
  await world.until('the keys are there', () => keysOf()?.length === 1);
  world.replicas.at(-1)?.kill();
  await world.start('control-1', { keys: fakeKeys().keys });
  await world.seconds(2);
  expect(keysOf()).toHaveLength(1);
});
