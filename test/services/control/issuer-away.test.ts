// An identity provider goes away for an hour, then comes back with another key. Traffic goes on all the while.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createKeys } from '#adapters/keys-http/keys.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { type FakeWeb, fakeWeb } from '#test/support/fake-web.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { planeView } from '#test/support/snapshot.ts';
import { ISSUER, type KeyPair, keyPair, NOW_S, sign } from '#test/support/tokens.ts';
import { all, bibby } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { World } from './world.ts';

const authentication = `apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: readers, namespace: bibby }
spec:
  targetRefs: [{ kind: Route, name: catalog }]
  methods:
    - jwt:
        issuers:
          - { issuer: '${ISSUER}', audiences: [bibby], jwksUri: '${ISSUER}/keys' }
`;

let world: World;
let [one, two]: KeyPair[] = [];
/** What the issuer publishes; undefined while it is away. */
let published: readonly KeyPair[] | undefined;
let web: FakeWeb;
let edge: FakeAgent;

beforeAll(async () => {
  [one, two] = await Promise.all([keyPair('ES256', 'one'), keyPair('ES256', 'two')]);
});
afterEach(() => world.stop());

const key = (pair: KeyPair | undefined): KeyPair => {
  if (!pair) throw new Error('keys are made first');
  return pair;
};

const start = async (): Promise<void> => {
  world = new World();
  published = [key(one)];
  web = fakeWeb(() =>
    published ? { keys: published.map(({ jwk }) => jwk) } : new Error('connect ECONNREFUSED'),
  );
  const keys = createKeys({
    web,
    clock: world.time,
    later: (ms, work) => {
      const stop = new AbortController();
      void world.time.sleep(ms, stop.signal).then(() => (stop.signal.aborted ? undefined : work()));
      return () => stop.abort();
    },
  });
  await world.start('control-1', { keys });
  edge = await world.agent('edge-1', 'edge.public');
  await world.apply(all(bibby, authentication));
  await untilAtRest('the key is there', () => edgeKeys().length === 1);
};

/** Signatures are made beside the event loop: they get their time before turns are counted. */
const untilAtRest: World['until'] = async (what, holds) => {
  for (let i = 0; i < 5 && !(await holds()); i += 1) await world.time.advance(10);
  await world.until(what, holds);
};

const edgeKeys = () =>
  Object.values(edge.snapshot?.authentications ?? {})
    .flatMap(({ methods }) => methods.flatMap((each) => (each.type === 'jwt' ? each.issuers : [])))
    .flatMap(({ keys }) => keys);

let unknown: string[] = [];
/** A token that nobody has seen yet, so that its signature is looked at. */
let tokens = 0;
const isLetIn = async (pair: KeyPair | undefined): Promise<boolean> => {
  const { snapshot } = edge;
  if (!snapshot) return false;
  tokens += 1;
  unknown = [];
  const token = await sign(key(pair), { jti: `t${tokens}`, exp: NOW_S + 100_000 });
  const deps = pipelineDeps({ clock: world.time, onUnknownKey: (issuer) => unknown.push(issuer) });
  const outcome = await createPipeline(planeView(snapshot), deps).handle(
    requestView({ url: '/catalog', headers: { authorization: `Bearer ${token}` } }),
    'r',
  );
  return outcome.type === 'forward' || outcome.status !== 401;
};

const keyEvents = async (): Promise<readonly string[]> =>
  (await world.events()).map(({ type }) => type).filter((type) => type.startsWith('weir.keys.'));

describe('an issuer that is away for an hour', () => {
  it('costs no request with a valid token, and is told of', async () => {
    await start();
    published = undefined;
    let refused = 0;
    for (let minute = 0; minute < 65; minute += 1) {
      await world.time.advance(60_000);
      if (!(await isLetIn(one))) refused += 1;
    }
    expect(refused).toBe(0);
    expect(await keyEvents()).toEqual(['weir.keys.rotated', 'weir.keys.unreachable']);
    published = [key(one), key(two)];
    await world.time.advance(60_000);
    await untilAtRest('the new key is there', () => edgeKeys().length === 2);
    expect(await isLetIn(one)).toBe(true);
    expect(await isLetIn(two)).toBe(true);
    expect((await keyEvents()).slice(2)).toEqual(['weir.keys.recovered', 'weir.keys.rotated']);
  });
});

describe('a policy that names a new issuer', () => {
  const apply = async (answer: () => unknown): Promise<void> => {
    world = new World();
    web = fakeWeb(answer);
    await world.start('control-1', { keys: createKeys({ web, clock: world.time }) });
    edge = await world.agent('edge-1', 'edge.public');
    await world.apply(bibby);
    await untilAtRest('the first policy is there', () => edge.state.active?.revision === 1);
    await world.apply(authentication);
  };

  it('is in force once the keys are there', async () => {
    const gate = Promise.withResolvers<unknown>();
    await apply(() => gate.promise);
    await world.time.advance(2000);
    expect(edge.state.active?.revision).toBe(1);
    gate.resolve({ keys: [key(one).jwk] });
    await untilAtRest('the policy is there', () => edge.state.active?.revision === 2);
    expect(edgeKeys()).toHaveLength(1);
  });

  it('is in force without them where the issuer does not answer for three seconds', async () => {
    await apply(() => new Promise(() => {}));
    await world.time.advance(3000);
    await untilAtRest('the policy is there', () => edge.state.active?.revision === 2);
    expect(edgeKeys()).toHaveLength(0);
  });
});

describe('a key that control does not know yet', () => {
  it('is fetched when an agent tells of a token that names it', async () => {
    await start();
    published = [key(one), key(two)];
    expect(await isLetIn(two)).toBe(false);
    expect(unknown).toEqual([ISSUER]);
    edge.beat('live', unknown);
    await untilAtRest('the new key is there', () => edgeKeys().length === 2);
    expect(await isLetIn(two)).toBe(true);
    expect(await isLetIn(one)).toBe(true);
  });

  it('of an issuer that no policy names is nobody’s business', async () => {
    await start();
    const before = web.asked.length;
    edge.beat('live', ['https://evil.example']);
    await world.time.advance(2000);
    expect(web.asked).toHaveLength(before);
  });
});
