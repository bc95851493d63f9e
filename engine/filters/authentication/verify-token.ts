// From a token that nobody has seen yet to an identity, or to the reason why not.
import { compactVerify } from 'jose';
import type { IssuerPlan } from '../../model/snapshot.ts';
import { own } from '../own.ts';
import { claimHeaders } from './claim-headers.ts';
import { type CompactToken, readCompact } from './compact-token.ts';
import { type Failure, failure, type Identity } from './identity.ts';
import { IssuerKeys } from './issuer-keys.ts';

export interface Issuer {
  readonly plan: IssuerPlan;
  readonly keys: IssuerKeys;
  readonly skewMs: number;
}

const MAX_SKEW_MS = 60_000;

export const createIssuer = (plan: IssuerPlan): Issuer => ({
  plan,
  keys: new IssuerKeys(plan),
  skewMs: Math.min(Math.max(plan.clockSkewMs, 0), MAX_SKEW_MS),
});

export interface Verification {
  readonly nowMs: number;
  /** See FilterDeps. */
  readonly onUnknownKey?: ((issuer: string) => void) | undefined;
}

export const verifyToken = async (
  token: string,
  issuers: readonly Issuer[],
  { nowMs, onUnknownKey }: Verification,
): Promise<Identity | Failure> => {
  const read = readCompact(token);
  if (typeof read === 'string') return failure(read);
  let first: Failure | undefined;
  let isStrange = false;
  // Several entries for one issuer are alternatives: other audiences, other keys.
  for (const issuer of issuers) {
    if (issuer.plan.issuer !== read.claims['iss']) continue;
    const wrong = await checkSignature(token, read, issuer);
    // Where there is no key at all control knows that itself.
    if (issuer.plan.keys.length > 0)
      isStrange ||= wrong === NO_KEY || (wrong !== undefined && read.kid === undefined);
    const refusal = wrong ?? checkClaims(read.claims, issuer, nowMs);
    if (refusal === undefined) return identify(read, issuer);
    first ??= failure(refusal);
  }
  if (isStrange && typeof read.claims['iss'] === 'string') onUnknownKey?.(read.claims['iss']);
  return first ?? failure('the issuer is not known');
};

const checkSignature = async (
  token: string,
  { alg, kid }: CompactToken,
  { keys }: Issuer,
): Promise<string | undefined> => {
  const candidates = keys.find(alg, kid);
  if (candidates.length === 0) return NO_KEY;
  for (const candidate of candidates) {
    try {
      await compactVerify(token, await candidate.import(alg), { algorithms: [alg] });
      return undefined;
    } catch {
      // Not this key; whatever the cause, it proves nothing.
    }
  }
  return 'the signature is not valid';
};

const NO_KEY = 'no key of the issuer fits the token';

type Claims = CompactToken['claims'];

const checkClaims = (claims: Claims, issuer: Issuer, nowMs: number): string | undefined => {
  const { exp, nbf, iat } = claims;
  const { skewMs } = issuer;
  if (!isTime(exp)) return 'the token does not say when it expires';
  if (nowMs >= exp * 1000 + skewMs) return 'the token is expired';
  if (nbf !== undefined && !isTime(nbf)) return 'the token is not valid yet';
  if (isTime(nbf) && nowMs < nbf * 1000 - skewMs) return 'the token is not valid yet';
  if (iat !== undefined && !isTime(iat)) return 'the time of issue is not a number';
  return hasAudience(claims['aud'], issuer.plan) ? undefined : 'the token is for somebody else';
};

/** Finite: `1e999` is infinity to a JSON reader. */
const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const hasAudience = (aud: unknown, plan: IssuerPlan): boolean => {
  if (plan.audiences.length === 0) return !plan.requireAudience;
  if (aud === undefined) return !plan.requireAudience;
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return audiences.some((each) => typeof each === 'string' && plan.audiences.includes(each));
};

const identify = ({ claims, kid }: CompactToken, issuer: Issuer): Identity => {
  const subject = textOf(claims['sub']);
  const { iat, exp } = claims;
  return {
    type: 'identity',
    principal: `${issuer.plan.issuer}/${subject ?? ''}`,
    consumer: undefined,
    groups: [],
    claims,
    headers: claimHeaders(claims, issuer.plan.claimsToHeaders),
    credential: {
      issuer: issuer.plan.issuer,
      subject,
      tokenId: textOf(own(claims, 'jti')),
      keyId: kid,
      issuedMs: isTime(iat) ? iat * 1000 : Number.NEGATIVE_INFINITY,
    },
    expiresMs: isTime(exp) ? exp * 1000 + issuer.skewMs : 0,
    cleared: undefined,
    recognisedIn: undefined,
  };
};

const textOf = (claim: unknown): string | undefined =>
  typeof claim === 'string' ? claim : undefined;
