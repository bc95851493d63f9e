// Who is not let in any more, as decided: what a snapshot contains plus what came since.
import type { DecisionBody, StandingDecision } from '../model/decision.ts';

export interface Credential {
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

type Expiries = ReadonlyMap<string, number>;

/** Overlay decisions come after the snapshot's, so they win. */
export const createRevocations = (
  standing: readonly StandingDecision[],
  overlay: Iterable<DecisionBody>,
): Revocations => {
  const expiries = new Map<string, number>();
  for (const { body } of standing)
    if (body.type === 'revocation') expiries.set(body.target, body.expiresMs);
  for (const body of overlay)
    if (body.type === 'revocation') expiries.set(body.target, body.expiresMs);
  if (expiries.size === 0) return none;
  const cutoffs = cutoffsOf(expiries);
  return {
    size: expiries.size,
    find: (credential, nowMs) =>
      named(expiries, credential, nowMs) ?? issuedTooEarly(cutoffs, credential, nowMs),
  };
};

const none: Revocations = { size: 0, find: () => undefined };

const named = (expiries: Expiries, credential: Credential, nowMs: number): string | undefined =>
  hit(expiries, 'jti:', credential.tokenId, nowMs) ??
  hit(expiries, 'sub:', credential.subject, nowMs) ??
  hit(expiries, 'kid:', credential.keyId, nowMs) ??
  hit(expiries, 'key:', credential.apiKey, nowMs) ??
  hit(expiries, 'consumer:', credential.consumer, nowMs);

const hit = (
  expiries: Expiries,
  prefix: string,
  value: string | undefined,
  nowMs: number,
): string | undefined => {
  if (value === undefined) return undefined;
  const target = prefix + value;
  const expires = expiries.get(target);
  return expires !== undefined && expires > nowMs ? target : undefined;
};

interface Cutoff {
  readonly target: string;
  readonly beforeMs: number;
  readonly expiresMs: number;
}

const cutoffsOf = (expiries: Expiries): readonly Cutoff[] => {
  const cutoffs: Cutoff[] = [];
  for (const [target, expiresMs] of expiries) {
    if (!target.startsWith('before:')) continue;
    const beforeMs = Number(target.slice('before:'.length));
    // Unreadable: the wish was to shut somebody out, so everybody is.
    cutoffs.push({
      target,
      beforeMs: Number.isNaN(beforeMs) ? Number.POSITIVE_INFINITY : beforeMs,
      expiresMs,
    });
  }
  return cutoffs;
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
