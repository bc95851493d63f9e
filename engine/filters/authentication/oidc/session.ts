// Who is signed in, as the session cookie says it.
import type { LoginPlan } from '../../../model/snapshot.ts';
import { own } from '../../own.ts';
import { claimHeaders } from '../claim-headers.ts';
import type { Identity } from '../identity.ts';

type Members = Readonly<Record<string, unknown>>;

/** About the token itself; nobody asks for them later. */
const ofTheToken = new Set(['nonce', 'at_hash', 'c_hash', 's_hash']);

export const sessionOf = (
  identity: Identity,
  facts: { readonly id: string; readonly nowMs: number; readonly lifetimeMs: number },
): object => ({
  claims: Object.fromEntries(
    Object.entries(identity.claims ?? {}).filter(([name]) => !ofTheToken.has(name)),
  ),
  key: identity.credential.keyId,
  id: facts.id,
  sinceMs: facts.nowMs,
  untilMs: facts.nowMs + facts.lifetimeMs,
});

/** Undefined: over, or not of this issuer. */
export const identityOf = (
  session: Members,
  { issuer }: LoginPlan,
  nowMs: number,
): Identity | undefined => {
  const { claims, key, id, sinceMs, untilMs } = session;
  if (!isMembers(claims) || typeof sinceMs !== 'number' || typeof untilMs !== 'number')
    return undefined;
  const subject = own(claims, 'sub');
  if (untilMs <= nowMs || claims['iss'] !== issuer.issuer || typeof subject !== 'string')
    return undefined;
  const tokenId = own(claims, 'jti') ?? id;
  return {
    type: 'identity',
    principal: `${issuer.issuer}/${subject}`,
    consumer: undefined,
    groups: [],
    claims,
    headers: claimHeaders(claims, issuer.claimsToHeaders),
    credential: {
      issuer: issuer.issuer,
      subject,
      tokenId: typeof tokenId === 'string' ? tokenId : undefined,
      keyId: typeof key === 'string' ? key : undefined,
      issuedMs: sinceMs,
    },
    expiresMs: untilMs,
    cleared: undefined,
    recognisedIn: undefined,
  };
};

const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
