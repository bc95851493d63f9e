import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createKeys } from '#adapters/keys-http/keys.ts';
import type { KeyNews, Keys } from '#engine/ports/keys.ts';
import { fakeWeb } from '#test/support/fake-web.ts';

const MINUTE = 60_000;
const address = { type: 'jwks', uri: 'https://id.example/keys' } as const;
const keysOf = (...kids: string[]) => ({ keys: kids.map((kid) => ({ kty: 'EC', kid })) });

let open: Keys | undefined;
beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  open?.close();
  vi.useRealTimers();
});

const setUp = (answers: unknown[] | ((address: string) => unknown)) => {
  const asked: string[] = [];
  const keys = createKeys({
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    web: fakeWeb(({ url }) => {
      asked.push(url);
      if (typeof answers === 'function') return answers(url);
      return answers.length > 1 ? answers.shift() : answers[0];
    }),
  });
  open = keys;
  const heard: KeyNews['type'][] = [];
  void (async () => {
    for await (const item of keys.news()) heard.push(item.type);
  })();
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return { keys, heard, asked, pass };
};

describe('keys over http', () => {
  it('has the keys once follow resolves', async () => {
    const { keys } = setUp([keysOf('a')]);
    await keys.follow([address]);
    expect(keys.current(address)).toEqual(keysOf('a'));
  });

  it('tells of a rotation and serves the new set', async () => {
    const { keys, heard, pass } = setUp([keysOf('a'), keysOf('a', 'b')]);
    await keys.follow([address]);
    await pass(5 * MINUTE);
    expect(keys.current(address)).toEqual(keysOf('a', 'b'));
    expect(heard).toEqual(['rotated', 'rotated']);
  });

  it('keeps the last good set for a day when the issuer is away, then drops it', async () => {
    const { keys, heard, pass } = setUp([keysOf('a'), new Error('gone')]);
    await keys.follow([address]);
    await pass(23 * 60 * MINUTE);
    expect(keys.current(address)).toEqual(keysOf('a'));
    await pass(2 * 60 * MINUTE);
    expect(keys.current(address)).toBeUndefined();
    expect(heard).toEqual(['rotated', 'unreachable', 'expired']);
  });

  it('says once that an issuer is away and once that it is back', async () => {
    const answers: unknown[] = [
      keysOf('a'),
      new Error('x'),
      new Error('x'),
      new Error('x'),
      keysOf('a'),
    ];
    const { keys, heard, pass } = setUp(answers);
    await keys.follow([address]);
    await pass(60 * MINUTE);
    expect(heard).toEqual(['rotated', 'unreachable', 'recovered']);
  });

  it('fetches at once for an unknown key', async () => {
    const { keys, heard, pass } = setUp([keysOf('a'), keysOf('a', 'b')]);
    await keys.follow([address]);
    keys.miss(address);
    await pass(0);
    expect(keys.current(address)).toEqual(keysOf('a', 'b'));
    expect(heard).toEqual(['rotated', 'rotated']);
  });

  it('fetches for unknown keys at most once in the cooldown', async () => {
    const { keys, asked, pass } = setUp([keysOf('a')]);
    await keys.follow([address]);
    for (let second = 0; second < 29; second += 1) {
      for (let storm = 0; storm < 100; storm += 1) keys.miss(address);
      await pass(1000);
    }
    expect(asked).toHaveLength(2);
  });

  it('fetches once more at the end of the cooldown for what was missed in it', async () => {
    const { keys, asked, pass } = setUp([keysOf('a'), keysOf('a'), keysOf('a', 'b')]);
    await keys.follow([address]);
    keys.miss(address);
    await pass(1000);
    keys.miss(address);
    await pass(29_000);
    expect(asked).toHaveLength(3);
    expect(keys.current(address)).toEqual(keysOf('a', 'b'));
    await pass(60_000);
    expect(asked).toHaveLength(3);
  });

  it('finds where people sign in, too', async () => {
    const issuer = 'https://id.example';
    const document = {
      issuer,
      jwks_uri: `${issuer}/keys`,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      end_session_endpoint: 'http://id.example/end',
      authorization_response_iss_parameter_supported: true,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    };
    const { keys } = setUp((url) => (url.endsWith('/keys') ? keysOf('d') : document));
    await keys.follow([{ type: 'discovery', issuer }]);
    expect(keys.current({ type: 'discovery', issuer })).toEqual({
      ...keysOf('d'),
      endpoints: {
        authorization: `${issuer}/authorize`,
        token: `${issuer}/token`,
        namesItself: true,
        secretInBody: true,
      },
    });
  });

  it('finds the keys by discovery', async () => {
    const issuer = 'https://id.example/realm';
    const { keys } = setUp((uri) =>
      uri.endsWith('/.well-known/openid-configuration')
        ? { issuer, jwks_uri: 'https://id.example/k' }
        : keysOf('d'),
    );
    await keys.follow([{ type: 'discovery', issuer }]);
    expect(keys.current({ type: 'discovery', issuer })).toEqual(keysOf('d'));
  });

  it.each([
    ['names another issuer', { issuer: 'https://evil.example', jwks_uri: 'https://id.example/k' }],
    [
      'sends https issuers to http keys',
      { issuer: 'https://id.example', jwks_uri: 'http://id.example/k' },
    ],
    ['has no jwks_uri', { issuer: 'https://id.example' }],
  ])('refuses a discovery document that %s', async (_case, document) => {
    const { keys, heard, pass } = setUp((uri) =>
      uri.includes('well-known') ? document : keysOf('d'),
    );
    await keys.follow([{ type: 'discovery', issuer: 'https://id.example' }]);
    await pass(0);
    expect(keys.current({ type: 'discovery', issuer: 'https://id.example' })).toBeUndefined();
    expect(heard).toEqual(['unreachable']);
  });

  it.each([
    ['an error page', { status: 500, body: '{"keys":[]}' }, 'answered 500'],
    ['a redirect', { status: 302, headers: { location: '/x' } }, 'answered 302'],
    ['a web page', { body: '<html>' }, 'did not answer JSON'],
    ['another document', { body: '[]' }, 'did not answer a JSON Web Key Set'],
  ])('says why %s is not a key set', async (_case, answer, reason) => {
    const keys = createKeys({
      clock: { now: () => Date.now(), monotonic: () => Date.now() },
      web: fakeWeb(() => answer),
    });
    open = keys;
    await keys.follow([address]);
    const [news] = await Array.fromAsync(takeOne(keys.news()));
    expect(news).toMatchObject({ type: 'unreachable', reason });
  });

  it('forgets an address that nobody follows any more', async () => {
    const { keys, asked, pass } = setUp([keysOf('a')]);
    await keys.follow([address]);
    await keys.follow([]);
    await pass(60 * MINUTE);
    expect(keys.current(address)).toBeUndefined();
    expect(asked).toHaveLength(1);
  });
});

async function* takeOne<T>(items: AsyncIterable<T>) {
  for await (const item of items) {
    yield item;
    return;
  }
}
