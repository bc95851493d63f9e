// One login policy at work: its secrets, its cookies, and where the issuer is. Secrets are read when they are needed, so a new
// one needs no new policy.
import type { IssuerEndpoints, LoginPlan } from '../../../model/snapshot.ts';
import type { RequestView } from '../../../pipeline/exchange.ts';
import type { FilterDeps } from '../../filter.ts';
import { createIssuer, type Issuer } from '../verify-token.ts';
import { type Cookies, createCookies } from './cookies.ts';
import { createSeal, type Seal } from './sealed.ts';

/** What it takes to sign somebody in here and now. */
export interface Ready {
  readonly seal: Seal;
  readonly clientSecret: string;
  readonly endpoints: IssuerEndpoints;
}

const MIN_COOKIE_SECRET = 32;

export class LoginClient {
  readonly plan: LoginPlan;
  readonly deps: FilterDeps;
  readonly issuer: Issuer;
  readonly #owner: string;
  readonly #plain: Cookies;
  readonly #secure: Cookies;
  #seal: { readonly secret: string; readonly seal: Seal } | undefined;

  constructor(plan: LoginPlan, deps: FilterDeps) {
    this.plan = plan;
    this.deps = deps;
    this.issuer = createIssuer(plan.issuer);
    this.#owner = JSON.stringify([plan.issuer.issuer, plan.clientId, plan.redirectPath]);
    const id = deps.hash(this.#owner).slice(0, 8);
    this.#plain = createCookies(id, false);
    this.#secure = createCookies(id, true);
  }

  /** A string says what is missing. */
  ready(): Ready | string {
    const { endpoints, clientSecretFile } = this.plan;
    if (endpoints === undefined) return `${this.plan.issuer.issuer} has not been reached yet`;
    const clientSecret = this.#read(clientSecretFile);
    if (clientSecret === undefined) return `${clientSecretFile} cannot be read`;
    const seal = this.seal();
    return typeof seal === 'string' ? seal : { seal, clientSecret, endpoints };
  }

  seal(): Seal | string {
    const file = this.plan.cookieSecretFile ?? this.plan.clientSecretFile;
    const secret = this.#read(file);
    if (secret === undefined) return `${file} cannot be read`;
    if (this.plan.cookieSecretFile !== undefined && secret.length < MIN_COOKIE_SECRET)
      return `${file} holds fewer than ${MIN_COOKIE_SECRET} characters`;
    if (this.#seal?.secret !== secret)
      this.#seal = { secret, seal: createSeal(secret, this.#owner, this.deps.hash) };
    return this.#seal.seal;
  }

  cookies(request: RequestView): Cookies {
    return this.originOf(request).startsWith('https:') ? this.#secure : this.#plain;
  }

  /** Scheme and host as the browser has them. */
  originOf(request: RequestView): string {
    return this.plan.publicOrigin ?? `${request.scheme}://${request.authority}`;
  }

  redirectUri(request: RequestView): string {
    return `${this.originOf(request)}${this.plan.redirectPath}`;
  }

  #read(file: string): string | undefined {
    const text = this.deps.files?.(file)?.trim();
    return text === '' ? undefined : text;
  }
}
