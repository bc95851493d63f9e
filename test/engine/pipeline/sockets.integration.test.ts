// The promises of the pipeline that matter most, asked of the proxy through real sockets.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import {
  closeAll,
  fixedUpstream,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
} from '#test/adapters/dataplane-node/support.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { planeView, rule, snapshot, upstream } from '#test/support/snapshot.ts';
import {
  issuerPlan,
  jwtAuthentication,
  type KeyPair,
  keyPair,
  sign,
} from '#test/support/tokens.ts';

let key: KeyPair;
beforeAll(async () => {
  key = await keyPair();
});
afterEach(closeAll);

const library = 'bibby/library-service';
const at = (port: number) => ({
  [library]: upstream(library, { endpoints: [{ address: '127.0.0.1', port, weight: 1 }] }),
});

/** One plane with the real pipeline; `ask` sends text on a new connection and resolves with the answer. */
const start = async (facts: Partial<Snapshot>) => {
  const of = snapshot({
    authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
    ...facts,
  });
  const deps = pipelineDeps();
  const { plane, port } = await startPlane(
    planeView(of),
    {},
    {
      pipeline: (view, previous) => createPipeline(view, deps, previous),
    },
  );
  const ask = async (text: string, until: RegExp | string = /\r\n\r\n[^]+/) => {
    const caller = await rawCaller(port);
    caller.send(text);
    const answer = await caller.until(until);
    caller.socket.destroy();
    return answer;
  };
  return {
    ask,
    port,
    decide: (decisions: Parameters<typeof planeView>[1]) =>
      plane.activate(planeView(of, decisions)),
  };
};
const guarded = (port: number, more: Partial<Snapshot> = {}) =>
  start({ rules: [rule({ authentications: ['a'] })], upstreams: at(port), ...more });

describe('identity headers through the proxy', () => {
  const names = ['X-User-ID', 'X-User-Roles'];
  const spellings = (name: string) => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    name.replaceAll('-', '_'),
    name.replaceAll('-', '.'),
    name.replace('-', '_'),
    `${name.toLowerCase()}`,
  ];

  it('of callers never reach the upstream', async () => {
    const server = await fixedUpstream(ok());
    const open = await start({ rules: [rule()], upstreams: at(server.port) });
    const closed = await guarded(server.port);
    const token = `Authorization: Bearer ${await sign(key)}\r\n`;
    for (const name of names)
      for (const spelling of spellings(name))
        for (const headers of [
          `${spelling}: evil\r\n`,
          `${spelling}: evil\r\n${spelling}: evil\r\n`,
          `${spelling}:evil\r\nConnection: close\r\n`,
        ]) {
          await open.ask(get('/', headers));
          await closed.ask(get('/', headers + token));
        }
    for (const nominated of names)
      await closed.ask(get('/', `${token}Connection: ${nominated}\r\n`));
    const sent = server.received.join('');
    expect(sent).toContain('x-user-id: alice\r\n');
    expect(sent).not.toContain('evil');
    const fromAlice = sent.split('GET / HTTP').filter((each) => each.includes('Bearer'));
    for (const each of fromAlice) expect(each).toContain('x-user-id: alice\r\n');
  });

  it('in trailers never reach the upstream', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('0\r\n')) return false;
      socket.write(ok());
      return true;
    });
    const { ask } = await start({ rules: [rule()], upstreams: at(server.port) });
    await ask(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-ID\r\n\r\n1\r\na\r\n0\r\nX-User-ID: evil\r\n\r\n',
    );
    expect(server.received.join('')).not.toMatch(/x-user-id: evil/i);
  });
});

describe('refusals through the proxy', () => {
  it('have the shape that callers know', async () => {
    const server = await fixedUpstream(ok());
    const { ask } = await guarded(server.port);
    const answer = await ask(get('/', 'X-Request-ID: my-id\r\n'));
    expect(answer).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/);
    expect(answer).toContain('www-authenticate: Bearer realm="api.bibby.com"\r\n');
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toEqual({
      error: 'Unauthorized',
      reason: 'no credentials were given',
      requestId: 'my-id',
    });
    expect(server.connections).toBe(0);
  });

  it('meet two Authorization headers', async () => {
    const server = await fixedUpstream(ok());
    const { ask } = await guarded(server.port);
    const line = `Authorization: Bearer ${await sign(key)}\r\n`;
    expect(await ask(get('/', line))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(get('/', line + line))).toMatch(/^HTTP\/1\.1 400 /);
    expect(server.received.join('').match(/GET/g)).toHaveLength(1);
  });

  it('meet a revoked token at once, on a connection that was open before', async () => {
    const server = await fixedUpstream(ok());
    const { port, decide } = await guarded(server.port);
    const caller = await rawCaller(port);
    const request = get('/', `Authorization: Bearer ${await sign(key, { jti: 't1' })}\r\n`);
    caller.send(request);
    await caller.until('ok');
    const revocation = {
      type: 'revocation',
      target: 'jti:t1',
      expiresMs: 2_000_000_000_000,
    } as const;
    await decide({ decisions: [revocation] });
    caller.send(request);
    expect(await caller.until('revoked')).toMatch(/HTTP\/1\.1 401 /);
  });
});

describe('open streams', () => {
  const revoke = (target: string) =>
    ({ type: 'revocation', target, expiresMs: 2_000_000_000_000 }) as const;
  const bearer = async (jti: string) => `Authorization: Bearer ${await sign(key, { jti })}\r\n`;

  it.each([
    [
      'event streams',
      'Accept: text/event-stream\r\n',
      'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n',
    ],
    [
      'WebSockets',
      'Connection: Upgrade\r\nUpgrade: websocket\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\ndata: 1\n\n',
    ],
  ])('%s of a revoked token end, those of others go on', async (_kind, headers, answer) => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      socket.write(answer);
      setTimeout(() => socket.write('data: 2\n\n'), 300);
      return true;
    });
    const { port, decide } = await guarded(server.port);
    const [victim, other] = [await rawCaller(port), await rawCaller(port)];
    victim.send(get('/', headers + (await bearer('t1'))));
    other.send(get('/', headers + (await bearer('t2'))));
    await Promise.all([victim.until('data: 1'), other.until('data: 1')]);
    await decide({ decisions: [revoke('jti:t1')] });
    await victim.untilClosed();
    expect(await other.until('data: 2')).toContain('data: 2');
  });
});

describe('answers through the proxy', () => {
  const wrapped = (port: number) =>
    start({
      rules: [rule({ envelope: { version: '2.0', maxBytes: 1000 } })],
      upstreams: at(port),
    });
  const json = 'content-type: application/json\r\netag: "x"\r\n';

  it('are wrapped when they are JSON', async () => {
    const server = await fixedUpstream(ok('{"id":7}', json));
    const answer = await (await wrapped(server.port)).ask(get());
    const body = '{"data":{"id":7},"meta":{"version":"2.0","timestamp":1800000000000}}';
    expect(answer).toContain(`content-length: ${body.length}\r\n`);
    expect(answer).not.toContain('etag');
    expect(answer.endsWith(body)).toBe(true);
  });

  it('stream on when they are events', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n');
      return true;
    });
    const { ask } = await wrapped(server.port);
    expect(await ask(get(), 'data: 1\n\n')).toContain('text/event-stream');
  });

  it('to HEAD tell no length that is not true', async () => {
    const server = await fixedUpstream(`HTTP/1.1 200 OK\r\ncontent-length: 8\r\n${json}\r\n`);
    const { ask } = await wrapped(server.port);
    const answer = await ask('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', '\r\n\r\n');
    expect(answer).not.toMatch(/content-length: 8|etag/);
  });

  it('carry the headers of CORS and quotas beside the upstream’s own', async () => {
    const server = await fixedUpstream(
      ok('ok', 'vary: Accept-Encoding\r\naccess-control-allow-origin: *\r\nset-cookie: own=1\r\n'),
    );
    const { ask } = await start({
      rules: [
        rule({
          quotas: ['q'],
          cors: {
            origins: ['https://bibby.com'],
            methods: ['GET'],
            headers: [],
            exposedHeaders: [],
            maxAgeSeconds: 60,
            credentials: true,
          },
          responseHeaders: { set: [], add: [['Set-Cookie', 'added=1']], remove: [] },
        }),
      ],
      upstreams: at(server.port),
      quotas: {
        q: {
          id: 'bibby/all',
          origin: { resource: 'Quota/bibby/all' },
          mode: 'enforce',
          by: 'all',
          limits: [{ requests: 1, windowMs: 60_000 }],
          scope: 'local',
          algorithm: 'fixed',
          headers: true,
          status: 429,
        },
      },
    });
    const first = await ask(get('/', 'Origin: https://bibby.com\r\n'));
    expect(first.match(/access-control-allow-origin: .*/g)).toEqual([
      'access-control-allow-origin: https://bibby.com',
    ]);
    expect(first.match(/vary: .*/g)).toEqual(['vary: Accept-Encoding, Origin']);
    expect(first).toContain('set-cookie: own=1\r\n');
    expect(first).toContain('set-cookie: added=1\r\n');
    expect(first).toContain('ratelimit: "all";r=0;');
    const second = await ask(get('/', 'Origin: https://bibby.com\r\n'));
    expect(second).toMatch(/^HTTP\/1\.1 429 /);
    expect(second).toMatch(/retry-after: [1-9]/);
    expect(second).toContain('access-control-allow-origin: https://bibby.com\r\n');
  });
});

describe('a key rotation at the issuer', () => {
  it('fails no request', async () => {
    const server = await fixedUpstream(ok());
    const next = await keyPair('ES256', 'next');
    const withKeys = (...keys: readonly KeyPair[]) =>
      snapshot({
        rules: [rule({ authentications: ['a'] })],
        upstreams: at(server.port),
        authentications: { a: jwtAuthentication([issuerPlan(keys.map(({ jwk }) => jwk))]) },
      });
    const deps = pipelineDeps();
    const { plane, port } = await startPlane(
      planeView(withKeys(key)),
      {},
      {
        pipeline: (view, previous) => createPipeline(view, deps, previous),
      },
    );
    const steps = [
      { keys: [key], signs: key },
      { keys: [key, next], signs: key },
      { keys: [key, next], signs: next },
      { keys: [next], signs: next },
    ];
    const caller = await rawCaller(port);
    for (const [revision, { keys, signs }] of steps.entries()) {
      await plane.activate(planeView(withKeys(...keys), { revision: revision + 2 }));
      for (let i = 0; i < 50; i += 1) {
        const token = await sign(signs, { sub: `user-${i % 5}` });
        caller.text = '';
        caller.send(get('/', `Authorization: Bearer ${token}\r\n`));
        expect(await caller.until('\r\n\r\nok')).toMatch(/^HTTP\/1\.1 200 /);
      }
    }
  });
});
