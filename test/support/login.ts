// An issuer and a browser for tests of signing in: both small, both strict.
import { createHash, randomBytes } from 'node:crypto';
import type { AuthenticationPlan, LoginPlan, Snapshot } from '#engine/model/snapshot.ts';
import type { Outcome } from '#engine/pipeline/exchange.ts';
import type { Web, WebRequest } from '#engine/ports/web.ts';
import { pipelineDeps } from './pipeline-deps.ts';
import type { RequestFacts } from './request-view.ts';
import { type Served, serve } from './serve.ts';
import { rule } from './snapshot.ts';
import { ISSUER, issuerPlan, type KeyPair, sign } from './tokens.ts';

export const CLIENT_SECRET = 'a-secret-of-the-client';

export const loginPlan = (key: KeyPair, facts: Partial<LoginPlan> = {}): LoginPlan => ({
  type: 'oidc',
  issuer: issuerPlan([key.jwk], { audiences: ['weir'], from: {}, forwardToken: false }),
  endpoints: {
    authorization: `${ISSUER}/authorize`,
    token: `${ISSUER}/token`,
    endSession: `${ISSUER}/end`,
    namesItself: true,
    secretInBody: false,
  },
  clientId: 'weir',
  clientSecretFile: 'client-secret',
  redirectPath: '/oauth2/callback',
  logoutPath: '/logout',
  scopes: ['openid', 'profile'],
  sessionMs: 3_600_000,
  ...facts,
});

export interface Grant {
  readonly nonce: string;
  readonly challenge: string;
  readonly redirectUri: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Its token endpoint, by RFC 6749 and 7636: a code is good once, for whoever has its verifier. */
export class FakeIssuer implements Web {
  readonly #key: KeyPair;
  readonly #codes = new Map<string, Grant>();
  readonly asked: WebRequest[] = [];
  /** What the next answers of the token endpoint are instead. */
  answer: { readonly status: number; readonly body: string } | Error | undefined;

  constructor(key: KeyPair) {
    this.#key = key;
  }

  /** Somebody signs in at the authorization endpoint: where the browser is sent back to. */
  approve(location: string, claims: Readonly<Record<string, unknown>> = {}): URL {
    const asked = new URL(location).searchParams;
    const code = randomBytes(8).toString('hex');
    const redirectUri = asked.get('redirect_uri') ?? '';
    this.#codes.set(code, {
      nonce: asked.get('nonce') ?? '',
      challenge: asked.get('code_challenge') ?? '',
      redirectUri,
      claims,
    });
    const back = new URL(redirectUri);
    back.search = String(
      new URLSearchParams({ code, state: asked.get('state') ?? '', iss: ISSUER }),
    );
    return back;
  }

  async ask(request: WebRequest) {
    this.asked.push(request);
    if (this.answer instanceof Error) throw this.answer;
    const said = this.answer ?? (await this.#token(new URLSearchParams(request.body)));
    return { ...said, headers: {}, setCookies: [] };
  }

  async #token(body: URLSearchParams) {
    const grant = this.#codes.get(body.get('code') ?? '');
    this.#codes.delete(body.get('code') ?? '');
    const verifier = createHash('sha256').update(body.get('code_verifier') ?? '');
    const isRight =
      grant?.challenge === verifier.digest('base64url') &&
      grant.redirectUri === body.get('redirect_uri');
    if (!grant || !isRight) return { status: 400, body: '{"error":"invalid_grant"}' };
    const { nonce, claims } = grant;
    const token = await sign(this.#key, { aud: 'weir', nonce, jti: 'token-1', ...claims });
    return { status: 200, body: JSON.stringify({ id_token: token, access_token: 'x' }) };
  }

  async close() {}
}

/** Cookies by name, as one host gets to see them. */
export class Browser {
  readonly jar = new Map<string, string>();
  readonly #served: Served;

  constructor(served: Served) {
    this.#served = served;
  }

  async open(url: string, facts: RequestFacts = {}): Promise<Outcome> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const outcome = await this.#served({
      url,
      ...facts,
      headers: { accept: 'text/html', ...(cookie && { cookie }), ...facts.headers },
    });
    for (const [name, value] of headersOf(outcome)) if (name === 'set-cookie') this.#keep(value);
    return outcome;
  }

  /** Through the issuer and back. */
  async signIn(issuer: FakeIssuer, url = '/books?page=2', claims = {}): Promise<Outcome> {
    const back = issuer.approve(locationOf(await this.open(url)), claims);
    return this.open(`${back.pathname}${back.search}`);
  }

  #keep(line: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (line.includes('Max-Age=0')) this.jar.delete(name);
    else this.jar.set(name, value);
  }
}

export const headersOf = (outcome: Outcome): readonly (readonly [string, string])[] => {
  const flat = outcome.type === 'respond' ? outcome.headers : [];
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as const] : []));
};

export const locationOf = (outcome: Outcome): string => {
  const location = headersOf(outcome).find(([name]) => name === 'location')?.[1];
  if (location === undefined) throw new Error('is no redirect');
  return location;
};

export const loginWorld = (
  key: KeyPair,
  facts: {
    readonly plan?: Partial<LoginPlan>;
    readonly policy?: Partial<AuthenticationPlan>;
    readonly snapshot?: Partial<Snapshot>;
  } = {},
) => {
  const time = { nowMs: 1_800_000_000_000 };
  const issuer = new FakeIssuer(key);
  const files = new Map([['client-secret', `${CLIENT_SECRET}\n`]]);
  const deps = pipelineDeps({
    time,
    web: issuer,
    files: (path) => files.get(path),
    unguessable: () => randomBytes(32).toString('base64url'),
  });
  const served = serve(
    {
      rules: [rule({ authentications: ['login'] })],
      authentications: {
        login: {
          origin: { resource: 'Authentication/bibby/people' },
          mode: 'required',
          methods: [loginPlan(key, facts.plan)],
          ...facts.policy,
        },
      },
      ...facts.snapshot,
    },
    deps,
  );
  return { time, issuer, files, served, browser: () => new Browser(served) };
};
