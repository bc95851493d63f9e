// What an authentication method finds out.
import type { Respond } from '../../pipeline/exchange.ts';
import type { FilterExchange } from '../filter.ts';
import type { Credential, Revocations } from '../revocations.ts';

export interface Identity {
  readonly type: 'identity';
  /** `issuer/subject`, a consumer's name or a SPIFFE id. */
  readonly principal: string;
  consumer: string | undefined;
  groups: readonly string[];
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** For the upstream: name, value, ... */
  readonly headers: readonly string[];
  credential: Credential;
  /** From then on it is worth nothing. */
  readonly expiresMs: number;
  /** The revocations that it was last compared with: a cached identity costs one comparison. */
  cleared: Revocations | undefined;
  /** The consumers among whom it was last looked for. */
  recognisedIn: object | undefined;
}

/** A credential is there but does not hold. */
export interface Failure {
  readonly type: 'failure';
  readonly reason: string;
  /** Default 401. */
  readonly status?: number;
  /** What to answer instead. */
  readonly respond?: Respond;
  /** For the log, not for the caller. */
  readonly cause?: string;
}

/** The policy lets the request pass without saying who is calling. */
export interface Pass {
  readonly type: 'pass';
  /** Why, for the log. */
  readonly note: string;
}

/** The request is about signing in or out; it goes no further. */
export interface Answer {
  readonly type: 'answer';
  readonly respond: Respond;
  /** What came of it, for the log. */
  readonly note: string;
}

/** Undefined: this method finds no credential of its kind. */
export type Attempt = Identity | Failure | Pass | Answer | undefined;

export interface Method {
  authenticate(exchange: FilterExchange): Attempt | Promise<Attempt>;
  /** Takes the credential off the request to the upstream, where the policy wants that. */
  conceal?(exchange: FilterExchange): void;
  /** Value of WWW-Authenticate; undefined for methods that a header cannot ask for. */
  challenge(host: string, failure: Failure | undefined): string | undefined;
}

export const failure = (reason: string): Failure => ({ type: 'failure', reason });
