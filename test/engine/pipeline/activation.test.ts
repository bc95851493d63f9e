import { beforeAll, describe, expect, it } from 'vitest';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { forwarded } from '#test/support/serve.ts';
import { forwardTo, planeView, rule, snapshot, split } from '#test/support/snapshot.ts';
import {
  issuerPlan,
  jwtAuthentication,
  type KeyPair,
  keyPair,
  sign,
} from '#test/support/tokens.ts';

const catalog = 'bibby/catalog-service';
let es: KeyPair;
beforeAll(async () => {
  es = await keyPair();
});

const world = () =>
  snapshot({
    rules: [
      rule({
        authentications: ['a'],
        action: forwardTo('', { backends: [{ weight: 1, split: catalog }] }),
      }),
    ],
    splits: { [catalog]: split(catalog, { 'v1.0': 10_000, 'v1.1': 0 }) },
    authentications: { a: jwtAuthentication([issuerPlan([es.jwk])]) },
  });
const promote = { type: 'split', target: catalog, weights: { 'v1.0': 0, 'v1.1': 10_000 } } as const;

describe('a new overlay', () => {
  it('compiles nothing anew and leaves requests under way alone', async () => {
    const deps = pipelineDeps();
    const of = world();
    const before = createPipeline(planeView(of), deps);
    const request = requestView({ headers: { authorization: `Bearer ${await sign(es)}` } });
    const underWay = before.handle(request, 'r');
    const after = createPipeline(planeView(of, { decisions: [promote] }), deps, before);
    expect(after.compiled).toBe(before.compiled);
    expect(forwarded(await underWay).upstream.version).toBe('v1.0');
    expect(forwarded(await after.handle(request, 'r')).upstream.version).toBe('v1.1');
    expect(forwarded(await before.handle(request, 'r')).upstream.version).toBe('v1.0');
  });
});

describe('a new snapshot', () => {
  it('keeps verified tokens whose keys have not changed', async () => {
    const deps = pipelineDeps();
    const before = createPipeline(planeView(world()), deps);
    const request = requestView({ headers: { authorization: `Bearer ${await sign(es)}` } });
    expect(before.handle(request, 'r')).toBeInstanceOf(Promise);
    await before.handle(request, 'r');
    const after = createPipeline(planeView(world(), { revision: 2 }), deps, before);
    expect(after.compiled).not.toBe(before.compiled);
    expect(after.handle(request, 'r')).not.toBeInstanceOf(Promise);
  });

  it('drops caches and counters that nothing asks for any more', () => {
    const state = createPipelineState();
    const first = state.keep('a', () => ({}));
    state.sweep();
    expect(state.keep('a', () => ({}))).toBe(first);
    state.sweep();
    state.sweep();
    expect(state.keep('a', () => ({}))).not.toBe(first);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'survives %s as a name of everything',
    async (name) => {
      const record = <T>(value: T) =>
        JSON.parse(JSON.stringify({ x: value }).replace('"x"', JSON.stringify(name))) as Record<
          string,
          T
        >;
      const { a } = world().authentications;
      const of = snapshot({
        rules: [
          rule({
            id: name,
            match: {
              path: { type: 'segmentPrefix', value: `/${name}` },
              headers: [{ name, match: { type: 'exact', value: name }, not: true }],
              query: [{ name, match: { type: 'present' }, not: true }],
              cookies: [{ name, match: { type: 'present' }, not: true }],
            },
            authentications: ['missing', name],
            authorizations: [name],
            quotas: [name],
            action: forwardTo('', { backends: [{ weight: 1, split: name }] }),
          }),
        ],
        authentications: a ? record({ ...a, mode: 'optional' as const }) : {},
        splits: record(split(name, { [name]: 1 })),
        upstreams: record({ ...snapshot().upstreams['bibby/library-service'] } as never),
      });
      const outcome = await createPipeline(planeView(of), pipelineDeps()).handle(
        requestView({ url: `/${name}/x?a=1`, headers: { 'x-a': '1' } }),
        'r',
      );
      expect(outcome.type === 'forward' || outcome.status === 503).toBe(true);
      const elsewhere = createPipeline(planeView(snapshot()), pipelineDeps());
      expect((await elsewhere.handle(requestView({ url: `/${name}`, host: name }), 'r')).type).toBe(
        'forward',
      );
    },
  );
});
