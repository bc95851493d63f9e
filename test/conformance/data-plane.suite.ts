// What every data plane keeps to, as far as it says that it can. The same snapshots, the same answers.
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Feature } from '#engine/model/features.ts';
import type { Rule, Snapshot, Split, Upstream } from '#engine/model/snapshot.ts';
import type { PlaneView, SampleFacts } from '#engine/ports/data-plane.ts';
import { http2Cases } from './data-plane-http2.ts';
import {
  type Answer,
  type Call,
  call,
  type EchoServer,
  echoServer,
  forwardTo,
  listenerAt,
  type PlaneUnderTest,
  ruleFor,
  seenIn,
  snapshotOf,
  upstreamAt,
  viewOf,
} from './data-plane-world.ts';

const POLICY_PORT = 8080;
const A = 'bibby/a';
const B = 'bibby/b';

export const dataPlaneSuite = (name: string, create: () => Promise<PlaneUnderTest>): void => {
  describe(`data plane: ${name}`, () => {
    let tested: PlaneUnderTest;
    let a: EchoServer;
    let b: EchoServer;
    let revision = 0;

    beforeAll(async () => {
      [a, b] = await Promise.all([echoServer('a'), echoServer('b')]);
      tested = await create();
    });
    afterAll(async () => {
      await tested.plane.close();
      await tested.plane.close();
      await Promise.all([a.close(), b.close()]);
    });
    beforeEach(() => {
      a.seen.length = b.seen.length = 0;
    });

    const upstreams = (): readonly Upstream[] => [upstreamAt(A, [a.port]), upstreamAt(B, [b.port])];
    const serve = async (
      rules: readonly Rule[],
      parts: Partial<Omit<Snapshot, 'upstreams' | 'rules'>> & {
        readonly upstreams?: readonly Upstream[];
      } = {},
      overlay?: PlaneView['overlay'],
    ): Promise<void> => {
      const listeners = [listenerAt(POLICY_PORT)];
      const snapshot = snapshotOf({ listeners, upstreams: upstreams(), ...parts, rules });
      await tested.plane.activate(viewOf(snapshot, ++revision, overlay));
    };
    const ask = (options?: Call): Promise<Answer> => call(tested.portOf(POLICY_PORT), options);

    /** Skipped, with the reason, where the plane does not claim all features. */
    const can = (features: readonly Feature[], title: string, test: () => Promise<void>): void => {
      it(title, async ({ skip }) => {
        const lacking = features.filter((feature) => !tested.plane.capabilities.has(feature));
        skip(lacking.length > 0, `${name} does not enforce ${lacking.join(', ')}`);
        await test();
      });
    };

    describe('routing', () => {
      can(['http'], 'takes the first rule that matches, and says 404 when none does', async () => {
        await serve([
          ruleFor({ action: forwardTo(A) }, { path: { type: 'segmentPrefix', value: '/a' } }),
          ruleFor(
            { action: forwardTo(B) },
            { path: { type: 'exact', value: '/b' }, methods: ['GET'] },
          ),
        ]);
        expect(seenIn(await ask({ path: '/a' })).server).toBe('a');
        expect(seenIn(await ask({ path: '/a/x?y=z' }))).toMatchObject({
          server: 'a',
          url: '/a/x?y=z',
        });
        expect((await ask({ path: '/ab' })).status).toBe(404);
        expect(seenIn(await ask({ path: '/b' })).server).toBe('b');
        expect((await ask({ path: '/b', method: 'POST' })).status).toBe(404);
      });

      can(['http'], 'goes by host, the most specific first', async () => {
        const rules = [ruleFor({ action: forwardTo(A) }), ruleFor({ action: forwardTo(B) })];
        await serve(rules, {
          hosts: [
            { type: 'exact', host: 'api.bibby.com', listeners: [], rules: [0] },
            { type: 'manyLabels', host: 'bibby.com', listeners: [], rules: [1] },
          ],
        });
        expect(seenIn(await ask({ host: 'API.bibby.com:8080' })).server).toBe('a');
        expect(seenIn(await ask({ host: 'x.y.bibby.com' })).server).toBe('b');
        expect((await ask({ host: 'evilbibby.com' })).status).toBe(404);
      });

      can(
        ['http', 'match-query', 'match-cookie', 'match-regex'],
        'goes by headers, query, cookies and patterns',
        async () => {
          const exact = (key: string, value: string) => [
            { name: key, match: { type: 'exact' as const, value }, not: false },
          ];
          await serve([
            ruleFor({ action: forwardTo(B) }, { headers: exact('x-beta', 'yes') }),
            ruleFor({ action: forwardTo(B) }, { query: exact('beta', 'yes') }),
            ruleFor({ action: forwardTo(B) }, { cookies: exact('beta', 'yes') }),
            ruleFor(
              { action: forwardTo(B) },
              { path: { type: 'regexFull', value: '/books/[0-9]+' } },
            ),
            ruleFor({ action: forwardTo(A) }),
          ]);
          expect(seenIn(await ask()).server).toBe('a');
          expect(seenIn(await ask({ headers: { 'X-Beta': 'yes' } })).server).toBe('b');
          expect(seenIn(await ask({ path: '/?beta=yes' })).server).toBe('b');
          expect(seenIn(await ask({ headers: { cookie: 'x=1; beta=yes' } })).server).toBe('b');
          expect(seenIn(await ask({ path: '/books/42' })).server).toBe('b');
          expect(seenIn(await ask({ path: '/books/42/x' })).server).toBe('a');
        },
      );

      can(['path-normalization'], 'sees the canonical path, and so does the upstream', async () => {
        await serve([
          ruleFor({ action: forwardTo(A) }, { path: { type: 'segmentPrefix', value: '/a' } }),
        ]);
        expect(seenIn(await ask({ path: '/x/%2e%2e//a/./b' })).url).toBe('/a/b');
        expect((await ask({ path: '/a%2fb' })).status).toBe(400);
      });

      can(['redirect', 'respond'], 'answers by itself where policy says so', async () => {
        await serve([
          ruleFor(
            { action: { type: 'redirect', status: 301, path: '/new' } },
            { path: { type: 'exact', value: '/old' } },
          ),
          ruleFor({
            action: { type: 'respond', status: 418, body: 'teapot', contentType: 'text/plain' },
          }),
        ]);
        const moved = await ask({ path: '/old' });
        expect(moved.status).toBe(301);
        expect(moved.headers.location).toMatch(/^http:\/\/api\.bibby\.com(:\d+)?\/new$/);
        expect(await ask()).toMatchObject({ status: 418, text: 'teapot' });
      });
    });

    describe('forwarding', () => {
      can(['rewrite'], 'strips, replaces and keeps paths', async () => {
        await serve([
          ruleFor(
            { action: forwardTo(A, { rewrite: { stripPrefix: '/a' } }) },
            { path: { type: 'segmentPrefix', value: '/a' } },
          ),
          ruleFor({ action: forwardTo(A, { rewrite: { host: 'inner.bibby' } }) }),
        ]);
        expect(seenIn(await ask({ path: '/a/x?y' })).url).toBe('/x?y');
        expect(seenIn(await ask({ path: '/a' })).url).toBe('/');
        expect(seenIn(await ask({ path: '/k' }))).toMatchObject({
          url: '/k',
          headers: { host: 'inner.bibby' },
        });
      });

      can(['headers'], 'edits headers in both directions', async () => {
        await serve([
          ruleFor({
            action: forwardTo(A),
            requestHeaders: { set: [['x-set', 'new']], add: [], remove: ['x-gone'] },
            responseHeaders: { set: [['x-server', 'hidden']], add: [], remove: ['content-type'] },
          }),
        ]);
        const answer = await ask({ headers: { 'X-Set': 'old', 'X-Gone': '1', 'X-Kept': '1' } });
        expect(seenIn(answer).headers).toMatchObject({ 'x-set': 'new', 'x-kept': '1' });
        expect(seenIn(answer).headers['x-gone']).toBeUndefined();
        expect(answer.headers['x-server']).toBe('hidden');
        expect(answer.headers['content-type']).toBeUndefined();
      });

      can(
        ['http'],
        'says where a request came from, and believes nobody else about it',
        async () => {
          await serve([ruleFor({ action: forwardTo(A) })]);
          const { headers } = seenIn(
            await ask({
              headers: {
                'X-Forwarded-For': '6.6.6.6',
                'X-Forwarded-Proto': 'https',
                Connection: 'x-hop',
                'X-Hop': '1',
              },
            }),
          );
          expect(headers['x-forwarded-for']).not.toContain('6.6.6.6');
          expect(headers['x-forwarded-proto']).toBe('http');
          expect(headers['x-hop']).toBeUndefined();
          expect(headers['x-request-id']).toMatch(/^\S{8,}$/);
        },
      );

      can(['http'], 'passes bodies whole', async () => {
        await serve([ruleFor({ action: forwardTo(A) })]);
        const body = 'x'.repeat(300_000);
        expect(seenIn(await ask({ method: 'POST', body })).body).toBe(body);
        expect(
          seenIn(await ask({ method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } }))
            .body,
        ).toBe(body);
      });

      can(['timeout'], 'gives up in time', async () => {
        await serve([ruleFor({ action: forwardTo(A, { timeoutMs: 100 }) })]);
        expect((await ask({ path: '/slow' })).status).toBe(504);
      });

      can(['retry'], 'tries again where it may', async () => {
        const retry = {
          attempts: 2,
          on: ['5xx'],
          perTryTimeoutMs: 0,
          backoffMs: 1,
          budgetPercent: 100,
          minRetries: 10,
        };
        await serve([ruleFor({ action: forwardTo(A, { retry }) })]);
        expect((await ask({ path: '/status/503' })).status).toBe(503);
        expect(a.seen).toHaveLength(3);
      });

      can(['http'], 'says 503 for an upstream that nobody can reach', async () => {
        await serve([ruleFor({ action: forwardTo(A) })], { upstreams: [upstreamAt(A, [1])] });
        expect((await ask()).status).toBe(503);
      });

      can(['mirror'], 'copies to another upstream and waits for nobody', async () => {
        await serve([ruleFor({ action: forwardTo(A, { mirror: { upstream: B, percent: 100 } }) })]);
        expect(seenIn(await ask({ path: '/copied' })).server).toBe('a');
        await expect.poll(() => b.seen.map((each) => each.url)).toEqual(['/copied']);
      });

      can(['envelope'], 'wraps JSON', async () => {
        await serve([
          ruleFor({ action: forwardTo(A), envelope: { version: '1.0', maxBytes: 100_000 } }),
        ]);
        const answer = await ask();
        expect(JSON.parse(answer.text)).toMatchObject({
          data: { server: 'a' },
          meta: { version: '1.0' },
        });
        expect(Number(answer.headers['content-length'])).toBe(answer.text.length);
      });
    });

    describe('protocols', () => {
      http2Cases({
        can,
        serve: (action, service) =>
          serve(
            [
              ruleFor(
                { action: forwardTo(A, action) },
                { path: { type: 'segmentPrefix', value: '/' } },
              ),
            ],
            {
              upstreams: [service ?? upstreamAt(A, [a.port])],
            },
          ),
        port: () => tested.portOf(POLICY_PORT),
      });
    });

    describe('splitting', () => {
      const split = (canary: number) => ({
        splits: {
          [A]: {
            service: A,
            choices: [
              { version: 'v1', upstream: `${A}@v1`, weight: 10_000 - canary },
              { version: 'v2', upstream: `${A}@v2`, weight: canary },
            ],
          },
        },
        upstreams: [upstreamAt(`${A}@v1`, [a.port]), upstreamAt(`${A}@v2`, [b.port])],
      });
      const rules = () => [
        ruleFor({
          action: { type: 'forward', backends: [{ weight: 1, split: A }], timeoutMs: 5000 },
        }),
      ];
      const shareOfB = async (count: number): Promise<number> => {
        const answers = await Promise.all(Array.from({ length: count }, () => ask()));
        return answers.filter((answer) => answer.headers['x-server'] === 'b').length / count;
      };

      can(['split'], 'shares traffic by weight', async () => {
        await serve(rules(), split(3000));
        const share = await shareOfB(400);
        expect(share).toBeGreaterThan(0.18);
        expect(share).toBeLessThan(0.42);
      });

      can(
        ['split'],
        'follows a decision over the snapshot, and a snapshot over a decision',
        async () => {
          await serve(rules(), split(0));
          expect(await shareOfB(20)).toBe(0);
          const body = { type: 'split' as const, target: A, weights: { v1: 0, v2: 10_000 } };
          await serve(rules(), split(0), new Map([[`split:${A}`, body]]));
          expect(await shareOfB(20)).toBe(1);
          await serve(rules(), split(0));
          expect(await shareOfB(20)).toBe(0);
        },
      );

      const decided = (more: object) =>
        new Map([
          [
            `split:${A}`,
            { type: 'split' as const, target: A, weights: { v1: 10_000, v2: 0 }, ...more },
          ],
        ]);
      const around = (facts: Partial<Split>) => {
        const { splits, upstreams: versions } = split(0);
        return { splits: { [A]: { ...splits[A], ...facts } }, upstreams: versions };
      };

      can(['split'], 'shows the new version to the host of its preview', async () => {
        await serve(rules(), around({ preview: { host: 'preview.bibby.com', version: 'v2' } }));
        expect(seenIn(await ask({ host: 'preview.bibby.com:8080' })).server).toBe('b');
        expect(seenIn(await ask({ host: 'api.bibby.com' })).server).toBe('a');
      });

      can(['split'], 'sends a cohort to the version that is decided for it', async () => {
        const cohort = { by: 'cookie', name: 'group', value: 'b' } as const;
        const member = { headers: { cookie: 'x=1; group=b' } };
        await serve(rules(), around({ cohort }), decided({ cohort: 'v2' }));
        expect(seenIn(await ask(member)).server).toBe('b');
        expect(seenIn(await ask()).server).toBe('a');
        await serve(rules(), around({ cohort }), decided({}));
        expect(seenIn(await ask(member)).server).toBe('a');
      });

      can(['split', 'mirror'], 'copies requests to a version while that is decided', async () => {
        const mirror = { version: 'v2', percent: 100 };
        await serve(rules(), around({}), decided({ mirror }));
        expect(seenIn(await ask({ path: '/copied' })).server).toBe('a');
        await expect.poll(() => b.seen.map((each) => each.url)).toEqual(['/copied']);
        await serve(rules(), around({}), decided({}));
        expect(seenIn(await ask({ path: '/again' })).server).toBe('a');
        expect(b.seen.map((each) => each.url)).toEqual(['/copied']);
      });
    });

    describe('access', () => {
      can(['jwt'], 'asks for a token, and tells the upstream who it is', async () => {
        const keys = await generateKeyPair('ES256');
        const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256' };
        const token = (key: CryptoKey) =>
          new SignJWT({ role: 'reader' })
            .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
            .setIssuer('https://id.bibby.com')
            .setAudience('bibby')
            .setSubject('alice')
            .setIssuedAt()
            .setExpirationTime('5m')
            .sign(key);
        await serve([ruleFor({ action: forwardTo(A), authentications: ['jwt'] })], {
          authentications: {
            jwt: {
              origin: { resource: 'Authentication/bibby/jwt' },
              mode: 'required',
              methods: [
                {
                  type: 'jwt',
                  issuers: [
                    {
                      issuer: 'https://id.bibby.com',
                      audiences: ['bibby'],
                      requireAudience: true,
                      algorithms: ['ES256'],
                      keys: [jwk as unknown as Readonly<Record<string, unknown>>],
                      clockSkewMs: 60_000,
                      claimsToHeaders: [['sub', 'x-user-id']],
                      from: { header: 'authorization' },
                      forwardToken: false,
                    },
                  ],
                },
              ],
            },
          },
        });
        expect((await ask()).status).toBe(401);
        expect((await ask({ headers: { 'x-user-id': 'root' } })).status).toBe(401);
        const stranger = await generateKeyPair('ES256');
        const forged = await token(stranger.privateKey);
        expect((await ask({ headers: { authorization: `Bearer ${forged}` } })).status).toBe(401);
        const good = await token(keys.privateKey);
        const answer = await ask({
          headers: { authorization: `Bearer ${good}`, 'X_User.ID': 'root', 'X-User-ID': 'root' },
        });
        expect(answer.status).toBe(200);
        const sent = JSON.stringify(seenIn(answer).headers);
        expect(seenIn(answer).headers['x-user-id']).toBe('alice');
        expect(sent).not.toContain('root');
        expect(sent).not.toContain(good);
      });

      can(
        ['authorization'],
        'denies what a rule denies, with the body that callers know',
        async () => {
          await serve([ruleFor({ action: forwardTo(A), authorizations: ['deny'] })], {
            authorizations: {
              deny: {
                origin: { resource: 'Authorization/bibby/deny' },
                action: 'DENY',
                mode: 'enforce',
                rules: [{ to: [{ paths: ['/admin*'], methods: ['GET'] }] }],
              },
            },
          });
          expect((await ask({ path: '/books' })).status).toBe(200);
          for (const path of ['/admin', '/x/../admin/users', '//admin', '/%61dmin']) {
            const answer = await ask({ path });
            expect([path, answer.status]).toEqual([path, 403]);
            expect(Object.keys(JSON.parse(answer.text))).toEqual(['error', 'reason', 'requestId']);
          }
          expect(a.seen).toHaveLength(1);
        },
      );

      can(['quota-local'], 'admits as many as the quota says', async () => {
        await serve([ruleFor({ action: forwardTo(A), quotas: ['q'] })], {
          quotas: {
            q: {
              id: `quota-${revision}`,
              origin: { resource: 'Quota/bibby/q' },
              mode: 'enforce',
              by: 'address',
              limits: [{ requests: 5, windowMs: 60_000 }],
              scope: 'local',
              algorithm: 'sliding',
              headers: true,
              status: 429,
            },
          },
        });
        const answers: Answer[] = [];
        for (let i = 0; i < 8; i++) answers.push(await ask());
        expect(answers.map((answer) => answer.status)).toEqual([
          200, 200, 200, 200, 200, 429, 429, 429,
        ]);
        expect(Number(answers[7]?.headers['retry-after'])).toBeGreaterThan(0);
      });

      can(['cors'], 'answers preflights, and marks answers', async () => {
        await serve([
          ruleFor({
            action: forwardTo(A),
            cors: {
              origins: ['https://bibby.com'],
              methods: ['GET', 'PUT'],
              headers: ['x-a'],
              exposedHeaders: [],
              maxAgeSeconds: 60,
              credentials: true,
            },
          }),
        ]);
        const preflight = await ask({
          method: 'OPTIONS',
          headers: { origin: 'https://bibby.com', 'access-control-request-method': 'PUT' },
        });
        expect(preflight.headers['access-control-allow-origin']).toBe('https://bibby.com');
        expect(a.seen).toHaveLength(0);
        expect(
          (await ask({ headers: { origin: 'https://bibby.com' } })).headers[
            'access-control-allow-origin'
          ],
        ).toBe('https://bibby.com');
        expect(
          (await ask({ headers: { origin: 'https://evil.com' } })).headers[
            'access-control-allow-origin'
          ],
        ).toBeUndefined();
      });

      can(['fault'], 'injects faults', async () => {
        await serve([
          ruleFor({
            action: forwardTo(A),
            fault: { delayMs: 0, delayPercent: 0, abortStatus: 503, abortPercent: 100 },
          }),
        ]);
        expect((await ask()).status).toBe(503);
        expect(a.seen).toHaveLength(0);
      });
    });

    describe('a TCP listener', () => {
      const tcp = { ...listenerAt(POLICY_PORT), protocol: 'TCP' as const, upstream: 'bibby/c' };
      const versions = (): readonly Upstream[] =>
        [a, b].map(({ port }, index) => ({
          ...upstreamAt(`bibby/c@v${index + 1}`, [port]),
          protocol: 'tcp' as const,
        }));
      const split = (v1: number, v2: number): Snapshot['splits'] => ({
        'bibby/c': {
          service: 'bibby/c',
          choices: [
            { version: 'v1', upstream: 'bibby/c@v1', weight: v1 },
            { version: 'v2', upstream: 'bibby/c@v2', weight: v2 },
          ],
        },
      });

      can(['tcp'], 'forwards bytes as they are, by the weights of the Service', async () => {
        const parts = { listeners: [tcp], upstreams: versions() };
        await serve([], { ...parts, splits: split(10_000, 0) });
        const seen = seenIn(await ask({ path: '//a/../b' }));
        expect(seen).toMatchObject({ server: 'a', url: '//a/../b' });
        expect(seen.headers).not.toHaveProperty('x-request-id');
        await serve([], { ...parts, splits: split(0, 10_000) });
        expect(seenIn(await ask()).server).toBe('b');
      });

      can(['tcp', 'proxy-protocol'], 'closes what does not say who calls', async () => {
        await serve([], {
          listeners: [{ ...tcp, proxyProtocol: true }],
          upstreams: versions(),
          splits: split(10_000, 0),
        });
        await expect(ask()).rejects.toThrow();
        expect(a.seen).toHaveLength(0);
      });
    });

    describe('activation', () => {
      can(['http'], 'leaves requests under way alone', async () => {
        await serve([ruleFor({ action: forwardTo(A) })]);
        const slow = ask({ path: '/slow' });
        await expect.poll(() => a.seen.length).toBe(1);
        await serve([ruleFor({ action: forwardTo(B) })]);
        expect(seenIn(await ask()).server).toBe('b');
        expect(seenIn(await slow).server).toBe('a');
      });

      can(['http'], 'loses no request while policy changes', async () => {
        await serve([ruleFor({ action: forwardTo(A) })]);
        let isDone = false;
        const failures: number[] = [];
        const load = Array.from({ length: 4 }, async () => {
          while (!isDone) {
            const { status } = await ask();
            if (status !== 200) failures.push(status);
          }
        });
        for (let i = 0; i < 20; i++)
          await serve([ruleFor({ action: forwardTo(i % 2 === 0 ? B : A) })]);
        isDone = true;
        await Promise.all(load);
        expect(failures).toEqual([]);
      });

      can(['http'], 'tells what happened', async () => {
        await serve([ruleFor({ id: 'bibby/sampled/0', action: forwardTo(A) })]);
        const wanted = revision;
        await ask();
        await ask({ path: '/status/500' });
        const counted = { requests: 0, errors: 0 };
        for await (const facts of tested.plane.samples()) {
          for (const series of seriesOf(facts, wanted, 'bibby/sampled/0')) {
            counted.requests += series.requests;
            counted.errors += series.errors;
          }
          if (counted.requests >= 2) break;
        }
        expect(counted).toEqual({ requests: 2, errors: 1 });
      });

      can(['http', 'response-metrics'], 'adds up numbers that answers carry', async () => {
        const measure = {
          metric: 'worth',
          part: 'header',
          name: 'x-worth',
          from: 0,
          to: 9,
        } as const;
        const measures = [{ ...measure, strip: true }];
        await serve([ruleFor({ action: forwardTo(A) })], {
          upstreams: [upstreamAt(A, [a.port], { measures })],
        });
        for (const worth of ['3', '4.5', '10', 'much', '3'])
          expect((await ask({ path: `/worth/${worth}` })).headers).not.toHaveProperty('x-worth');
        const counted = { count: 0, sum: 0, squares: 0, refused: 0 };
        for await (const { values = [] } of tested.plane.samples()) {
          for (const one of values) {
            expect(one).toMatchObject({ service: A, metric: 'worth' });
            counted.count += one.count;
            counted.sum += one.sum;
            counted.squares += one.squares;
            counted.refused += one.refused ?? 0;
          }
          if (counted.count + counted.refused >= 5) break;
        }
        expect(counted).toEqual({ count: 3, sum: 10.5, squares: 38.25, refused: 2 });
      });
    });
  });
};

const seriesOf = (facts: SampleFacts, revision: number, rule: string) =>
  facts.revision === revision ? facts.series.filter((series) => series.rule === rule) : [];
