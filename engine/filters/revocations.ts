// Who is not let in any more, as decided: what a snapshot contains plus what came since.
import type { DecisionBody, StandingDecision } from '../model/decision.ts';

export interface Credential {
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly tokenId?: string | undefined;
  readonly keyId?: string | undefined;
  /** Of a token; minus infinity if it does not say. */
  readonly issuedMs?: number | undefined;
  readonly apiKey?: string | undefined;
  readonly consumer?: string | undefined;
}

export interface Revocations {
  readonly size: number;
  /** The decision that shuts this credential out, or undefined. */
  find(credential: Credential, nowMs: number): string | undefined;
}

/** Decisions by target, ready to be asked. */
export interface RevocationList {
  /** Milliseconds since 1970 until which each target is shut out. */
  readonly expiries: ReadonlyMap<string, number>;
  readonly cutoffs: readonly Cutoff[];
}

interface Cutoff {
  readonly target: string;
  readonly beforeMs: number;
  readonly expiresMs: number;
}

export const standingRevocations = (standing: readonly StandingDecision[]): RevocationList =>
  listOf(standing.map(({ body }) => body));

/** The overlay's decisions come after those that the snapshot contains, so they win. */
export const createRevocations = (
  standing: RevocationList,
  overlay: Iterable<DecisionBody>,
): Revocations => {
  const recent = listOf(overlay);
  const size = standing.expiries.size + recent.expiries.size;
  if (size === 0) return none;
  const overruled = (cutoff: Cutoff) => recent.expiries.has(cutoff.target);
  const cutoffs = [...standing.cutoffs.filter((each) => !overruled(each)), ...recent.cutoffs];
  const expiryOf = (target: string) => recent.expiries.get(target) ?? standing.expiries.get(target);
  return {
    size,
    find: (credential, nowMs) =>
      named(expiryOf, credential, nowMs) ?? issuedTooEarly(cutoffs, credential, nowMs),
  };
};

const listOf = (bodies: Iterable<DecisionBody>): RevocationList => {
  const expiries = new Map<string, number>();
  for (const body of bodies)
    if (body.type === 'revocation') expiries.set(body.target, body.expiresMs);
  const cutoffs = [...expiries].flatMap(([target, expiresMs]) =>
    target.startsWith(BEFORE) ? cutoff(target, expiresMs) : [],
  );
  return { expiries, cutoffs };
};

const BEFORE = 'before:';

const cutoff = (target: string, expiresMs: number): Cutoff => {
  const beforeMs = Number(target.slice(BEFORE.length));
  // Unreadable: the wish was to shut somebody out, so everybody is.
  return {
    target,
    beforeMs: Number.isNaN(beforeMs) ? Number.POSITIVE_INFINITY : beforeMs,
    expiresMs,
  };
};

const none: Revocations = { size: 0, find: () => undefined };

type ExpiryOf = (target: string) => number | undefined;

const named = (expiryOf: ExpiryOf, credential: Credential, nowMs: number): string | undefined =>
  hit(expiryOf, 'jti:', credential.tokenId, nowMs) ??
  hit(expiryOf, 'sub:', credential.subject, nowMs) ??
  hit(expiryOf, 'kid:', credential.keyId, nowMs) ??
  hit(expiryOf, 'key:', credential.apiKey, nowMs) ??
  hit(expiryOf, 'consumer:', credential.consumer, nowMs);

const hit = (
  expiryOf: ExpiryOf,
  prefix: string,
  value: string | undefined,
  nowMs: number,
): string | undefined => {
  if (value === undefined) return undefined;
  const target = prefix + value;
  const expires = expiryOf(target);
  return expires !== undefined && expires > nowMs ? target : undefined;
};

/** Tokens only: keys and passwords have no time of issue. A token that hides its own counts as old. */
const issuedTooEarly = (
  cutoffs: readonly Cutoff[],
  credential: Credential,
  nowMs: number,
): string | undefined => {
  if (credential.issuedMs === undefined) return undefined;
  for (const cutoff of cutoffs)
    if (credential.issuedMs < cutoff.beforeMs && cutoff.expiresMs > nowMs) return cutoff.target;
  return undefined;
};
