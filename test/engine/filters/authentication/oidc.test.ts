import { beforeAll, describe, expect, it } from 'vitest';
import type { LoginPlan } from '#engine/model/snapshot.ts';
import { type Browser, headersOf, locationOf, loginPlan, loginWorld } from '#test/support/login.ts';
import { answered, forwarded, pairs } from '#test/support/serve.ts';
import {
  ISSUER,
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

const cookieNames = ({ jar }: Browser, kind: 'session' | 'login') =>
  [...jar.keys()].filter((name) => name.includes(`weir-${kind}-`));
const setCookies = (outcome: Parameters<typeof headersOf>[0]) =>
  headersOf(outcome).flatMap(([name, value]) => (name === 'set-cookie' ? value : []));

/** Another character in the middle, where every bit counts. */
const changed = (text = ''): string => {
  const at = Math.floor(text.length / 2);
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
};

describe('signing in', () => {
  it('sends a browser to the issuer with a code challenge', async () => {
    const { browser } = loginWorld(key);
    const outcome = answered(await browser().open('/books', { scheme: 'https' }));
    expect(outcome.status).toBe(302);
    const asked = new URL(locationOf(outcome));
    expect(`${asked.origin}${asked.pathname}`).toBe(`${ISSUER}/authorize`);
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'weir',
      redirect_uri: 'https://api.bibby.com/oauth2/callback',
      scope: 'openid profile',
      code_challenge_method: 'S256',
    });
    for (const name of ['state', 'nonce', 'code_challenge'])
      expect(asked.searchParams.get(name)).toHaveLength(43);
    expect(pairs(outcome.headers)['cache-control']).toBe('no-store');
    expect(setCookies(outcome)).toEqual([
      expect.stringMatching(
        /^__Host-weir-login-[0-9a-f]{8}-[\w-]{12}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
      ),
    ]);
  });

  it('brings people back to where they wanted to go, and lets them in from then on', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    const back = answered(await person.signIn(issuer, '/books?page=2'));
    expect(back.status).toBe(302);
    expect(locationOf(back)).toBe('/books?page=2');
    expect(cookieNames(person, 'login')).toEqual([]);
    const { exchange } = forwarded(await person.open('/books?page=2'));
    expect(exchange.principal).toBe(`${ISSUER}/alice`);
    expect(exchange.claims).toMatchObject({ sub: 'alice', aud: 'weir' });
    expect(exchange.claims).not.toHaveProperty('nonce');
    expect(pairs(exchange.setHeaders)).toMatchObject({
      'x-user-id': 'alice',
      'x-user-roles': 'reader',
    });
  });

  it('authenticates itself at the token endpoint, by header or by body', async () => {
    const { issuer, browser } = loginWorld(key);
    await browser().signIn(issuer);
    expect(issuer.asked[0]).toMatchObject({
      url: `${ISSUER}/token`,
      headers: { authorization: `Basic ${btoa('weir:a-secret-of-the-client')}` },
    });
    const { endpoints } = loginPlan(key);
    const other = loginWorld(key, {
      plan: endpoints ? { endpoints: { ...endpoints, secretInBody: true } } : {},
    });
    await other.browser().signIn(other.issuer);
    expect(other.issuer.asked[0]?.headers).not.toHaveProperty('authorization');
    expect(other.issuer.asked[0]?.body).toContain('client_secret=a-secret-of-the-client');
  });

  it('takes two tabs at once', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    const [one, two] = [await person.open('/one'), await person.open('/two')].map((outcome) =>
      issuer.approve(locationOf(outcome)),
    );
    expect(cookieNames(person, 'login')).toHaveLength(2);
    const first = await person.open(`${one?.pathname}${one?.search}`);
    expect(locationOf(first)).toBe('/one');
    expect(answered(await person.open(`${two?.pathname}${two?.search}`)).status).toBe(400);
    forwarded(await person.open('/two'));
  });

  it('is about browsers that open pages only', async () => {
    const { browser } = loginWorld(key);
    for (const facts of [
      { headers: { accept: 'application/json' } },
      { headers: { accept: '*/*' } },
      { headers: { 'x-requested-with': 'XMLHttpRequest' } },
      { headers: { 'sec-fetch-mode': 'cors' } },
      { headers: { authorization: 'Bearer x' } },
      { method: 'POST' },
    ])
      expect(answered(await browser().open('/books', facts)).status, JSON.stringify(facts)).toBe(
        401,
      );
    expect(
      answered(await browser().open('/', { headers: { 'sec-fetch-mode': 'navigate' } })).status,
    ).toBe(302);
  });

  it('stands beside tokens', async () => {
    const { browser } = loginWorld(key, {
      policy: {
        methods: [...jwtAuthentication([issuerPlan([key.jwk])]).methods, loginPlan(key)],
      },
    });
    forwarded(
      await browser().open('/', { headers: { authorization: `Bearer ${await sign(key)}` } }),
    );
    const bad = answered(await browser().open('/', { headers: { authorization: 'Bearer x.y.z' } }));
    expect(bad.status).toBe(401);
    expect(answered(await browser().open('/')).status).toBe(302);
  });

  it('keeps its cookies from the service, and the others not', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    await person.open('/other-tab');
    await person.signIn(issuer);
    person.jar.set('theme', 'dark');
    const { exchange } = forwarded(await person.open('/'));
    expect(pairs(exchange.setHeaders)['cookie']).toBe('theme=dark');
    person.jar.delete('theme');
    expect(forwarded(await person.open('/')).exchange.removeHeaders).toContain('cookie');
  });

  it('ends with the session', async () => {
    const { issuer, browser, time } = loginWorld(key, { plan: { sessionMs: 60_000 } });
    const person = browser();
    expect(setCookies(await person.signIn(issuer))[0]).toContain('Max-Age=60;');
    time.nowMs += 59_999;
    forwarded(await person.open('/'));
    time.nowMs += 1;
    expect(answered(await person.open('/')).status).toBe(302);
  });

  it('ends at the logout path, at the issuer too', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    await person.signIn(issuer);
    const out = answered(await person.open('/logout'));
    const location = new URL(locationOf(out));
    expect(`${location.origin}${location.pathname}`).toBe(`${ISSUER}/end`);
    expect(location.searchParams.get('post_logout_redirect_uri')).toBe('http://api.bibby.com/');
    expect(cookieNames(person, 'session')).toEqual([]);
    expect(answered(await person.open('/')).status).toBe(302);
  });

  it.each(['sub:alice', 'jti:token-1', 'kid:ES256-1', 'before:1800000000001'])(
    'ends by revocation of %s',
    async (target) => {
      const { issuer, browser, served } = loginWorld(key);
      const person = browser();
      await person.signIn(issuer);
      forwarded(await person.open('/'));
      const expiresMs = 1_900_000_000_000;
      served.decide({ type: 'revocation', target, expiresMs });
      const refused = answered(await person.open('/'));
      expect(refused).toMatchObject({ status: 401, reason: 'the credential was revoked' });
    },
  );

  it('takes claims that need several cookies, and leaves none behind', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    await person.signIn(issuer, '/', { groups: 'g'.repeat(9000) });
    expect(cookieNames(person, 'session')).toHaveLength(4);
    expect(forwarded(await person.open('/')).exchange.claims?.['groups']).toHaveLength(9000);
    const [first = ''] = cookieNames(person, 'session');
    person.jar.set(`${first}.1`, changed(person.jar.get(`${first}.1`)));
    expect(answered(await person.open('/')).status).toBe(302);
    await person.signIn(issuer, '/');
    expect(cookieNames(person, 'session')).toHaveLength(1);
    forwarded(await person.open('/'));
    const tooMuch = answered(await browser().signIn(issuer, '/', { groups: 'g'.repeat(11_800) }));
    expect(tooMuch.status).toBe(431);
  });

  it('is optional where the policy says so', async () => {
    const { browser } = loginWorld(key, { policy: { mode: 'optional' } });
    expect(forwarded(await browser().open('/')).exchange.principal).toBeUndefined();
  });

  it('goes by the address that browsers see', async () => {
    const { issuer, browser } = loginWorld(key, {
      plan: { publicOrigin: 'https://app.bibby.com' },
    });
    const person = browser();
    const asked = new URL(locationOf(await person.open('/')));
    expect(asked.searchParams.get('redirect_uri')).toBe('https://app.bibby.com/oauth2/callback');
    await person.signIn(issuer);
    expect(cookieNames(person, 'session')[0]).toMatch(/^__Host-/);
    forwarded(await person.open('/'));
  });
});

describe('nobody is let in', () => {
  type Attack = (back: URL, person: Browser, world: ReturnType<typeof loginWorld>) => unknown;
  const change =
    (name: string, value: string): Attack =>
    (back) =>
      back.searchParams.set(name, value);
  const loginCookie = (person: Browser) => cookieNames(person, 'login')[0] ?? '';
  const attacks: readonly [string, Attack, number, string][] = [
    ['with a forged state', change('state', 'x'.repeat(43)), 400, 'not begun in this browser'],
    ['without a state', (back) => back.searchParams.delete('state'), 400, 'not begun'],
    ['with two states', (back) => back.searchParams.append('state', 'x'), 400, 'not begun'],
    [
      'without the cookie: the link of somebody else',
      (_, { jar }) => jar.clear(),
      400,
      'not begun',
    ],
    [
      'with a cookie that was changed',
      (_, person) => {
        const name = loginCookie(person);
        person.jar.set(name, changed(person.jar.get(name)));
      },
      400,
      'not begun',
    ],
    [
      'with a cookie of another login',
      async (_, person, { browser }) => {
        const other = browser();
        await other.open('/');
        person.jar.set(loginCookie(person), other.jar.get(loginCookie(other)) ?? '');
      },
      400,
      'not begun',
    ],
    [
      'with a cookie of another client',
      async (back, person) => {
        const other = loginWorld(key, { plan: { clientId: 'other' } }).browser();
        const asked = new URL(locationOf(await other.open('/'))).searchParams;
        back.searchParams.set('state', asked.get('state') ?? '');
        const name = loginCookie(person).replace(/-[\w-]{12}$/, loginCookie(other).slice(-13));
        person.jar.set(name, other.jar.get(loginCookie(other)) ?? '');
      },
      400,
      'not begun',
    ],
    [
      'with a session cookie for a login cookie',
      async (_, person, { issuer, browser }) => {
        const other = browser();
        await other.signIn(issuer);
        const [, session] = [...other.jar][0] ?? [];
        person.jar.set(loginCookie(person), session?.slice(2) ?? '');
      },
      400,
      'not begun',
    ],
    ['later than ten minutes', (_b, _p, { time }) => (time.nowMs += 600_000), 400, 'took too long'],
    [
      'with a code that was injected',
      async (back, _, { issuer, browser }) => {
        const theirs = issuer.approve(locationOf(await browser().open('/')));
        back.searchParams.set('code', theirs.searchParams.get('code') ?? '');
      },
      401,
      'does not accept the code',
    ],
    ['without a code', (back) => back.searchParams.delete('code'), 400, 'no code'],
    ['by another issuer', change('iss', 'https://evil.example'), 400, 'another issuer'],
    [
      'by an issuer without a name',
      (back) => back.searchParams.delete('iss'),
      400,
      'another issuer',
    ],
    [
      'after an error',
      change('error', 'access_denied<script>'),
      401,
      'the issuer says access_deniedscript',
    ],
    [
      'while the token endpoint is away',
      (_b, _p, { issuer }) => (issuer.answer = new Error('connect refused')),
      503,
      'nobody can sign in',
    ],
    [
      'while the token endpoint is broken',
      (_b, _p, { issuer }) => (issuer.answer = { status: 502, body: '' }),
      503,
      'nobody can sign in',
    ],
    [
      'without an ID token',
      (_b, _p, { issuer }) => (issuer.answer = { status: 200, body: '{"access_token":"x"}' }),
      401,
      'does not accept',
    ],
    ['while the secret is gone', (_b, _p, { files }) => files.clear(), 503, 'nobody can sign in'],
  ];
  it.each(attacks)('%s', async (_, attack, status, reason) => {
    const world = loginWorld(key);
    const person = world.browser();
    const back = world.issuer.approve(locationOf(await person.open('/')));
    await attack(back, person, world);
    const refused = answered(await person.open(`${back.pathname}${back.search}`));
    expect(refused.reason).toContain(reason);
    expect(refused.status).toBe(status);
    expect(cookieNames(person, 'session')).toEqual([]);
    world.files.set('client-secret', 'a-secret-of-the-client');
    expect(answered(await person.open('/')).status).toBe(302);
  });

  it.each([
    ['another nonce', { nonce: 'x' }, 'not for this sign-in'],
    ['no nonce', { nonce: undefined }, 'not for this sign-in'],
    ['another audience', { aud: 'other' }, 'the token is for somebody else'],
    ['a second audience and no party', { aud: ['weir', 'other'] }, 'made for another client'],
    ['another party', { azp: 'other' }, 'made for another client'],
    ['another issuer', { iss: 'https://evil.example' }, 'the issuer is not known'],
    ['a time that is over', { exp: 1 }, 'the token is expired'],
    ['no subject', { sub: undefined }, 'says nobody'],
  ])('by an ID token with %s', async (_, claims, reason) => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    const refused = answered(await person.signIn(issuer, '/', claims));
    expect(refused.status).toBe(401);
    expect(refused.reason).toContain(reason);
    expect(cookieNames(person, 'session')).toEqual([]);
  });

  it('by an ID token of another key, or without a signature', async () => {
    const { issuer, browser } = loginWorld(key);
    const other = await keyPair('ES256', key.kid);
    const forged = await sign(other, { aud: 'weir' });
    const none = `${btoa('{"alg":"none"}').replaceAll('=', '')}.${forged.split('.')[1]}.x`;
    for (const token of [forged, none]) {
      issuer.answer = { status: 200, body: JSON.stringify({ id_token: token }) };
      expect(answered(await browser().signIn(issuer)).status).toBe(401);
    }
  });

  it('by the same way back twice', async () => {
    const { issuer, browser } = loginWorld(key);
    const person = browser();
    const back = issuer.approve(locationOf(await person.open('/')));
    const cookies = new Map(person.jar);
    await person.open(`${back.pathname}${back.search}`);
    const again = browser();
    for (const [name, value] of cookies) again.jar.set(name, value);
    expect(answered(await again.open(`${back.pathname}${back.search}`)).status).toBe(401);
    expect(cookieNames(again, 'session')).toEqual([]);
  });

  it.each([
    ['another client', { clientId: 'other' }],
    ['another cookie secret', { cookieSecretFile: 'cookie-secret' }],
  ] satisfies [string, Partial<LoginPlan>][])('by a session of %s', async (_, plan) => {
    const mine = loginWorld(key);
    const theirs = loginWorld(key, { plan });
    theirs.files.set('cookie-secret', 'c'.repeat(32));
    const person = theirs.browser();
    await person.signIn(theirs.issuer);
    const [session = ''] = person.jar.values();
    const thief = mine.browser();
    await thief.signIn(mine.issuer);
    const [name = ''] = thief.jar.keys();
    thief.jar.set(name, session);
    expect(answered(await thief.open('/')).status).toBe(302);
  });

  it('while the issuer has never been reached, or the cookie secret is short', async () => {
    const { endpoints: _, ...unreached } = loginPlan(key);
    const world = loginWorld(key, { policy: { methods: [unreached] } });
    expect(answered(await world.browser().open('/')).status).toBe(503);
    const short = loginWorld(key, { plan: { cookieSecretFile: 'short' } });
    short.files.set('short', 'x'.repeat(31));
    expect(answered(await short.browser().open('/')).status).toBe(503);
  });
});

describe('the way back', () => {
  it.each([
    ['//evil.example/x', '/evil.example/x'],
    ['/\\evil.example', '/evil.example'],
    ['/a//b?next=https://evil.example', '/a//b?next=https://evil.example'],
    [`/${'x'.repeat(3000)}`, '/'],
    ['/a b', '/'],
  ])('from %s leads to this host: %s', async (url, back) => {
    const { issuer, browser } = loginWorld(key);
    expect(locationOf(await browser().signIn(issuer, url))).toBe(back);
  });
});
