// The operations on revocations: decisions that shut somebody out, in force within milliseconds, kept until what they are
// about has expired by itself.
import type { StandingSet } from '#engine/compile/standing.ts';
import type { Caller, RestoreRequest, RevocationAnswer, RevokeRequest } from '#engine/model/api.ts';
import { decisionId, type StandingDecision } from '#engine/model/decision.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { Ring } from '../ring.ts';
import type { Time } from '../time.ts';

const DAY_MS = 86_400_000;

export const createRevocationApi = ({
  ring,
  time,
  standing: standingNow,
}: {
  readonly ring: Ring;
  readonly time: Time;
  /** On a follower: read from the record. */
  readonly standing: () => Promise<StandingSet>;
}) => ({
  revoke: async (caller: Caller, request: RevokeRequest): Promise<RevocationAnswer> => {
    const { target, ttlMs = DAY_MS, reason = '' } = request;
    const decision = await ring.decide(
      { type: 'revocation', target, expiresMs: time.now() + ttlMs },
      { by: `operator:${caller.name}`, reason },
    );
    return answer([decision]);
  },

  restore: async (
    caller: Caller,
    { target, reason }: RestoreRequest,
  ): Promise<RevocationAnswer> => {
    const id = decisionId({ type: 'revocation', target });
    const standing = ring.standing.get(id);
    if (!standing)
      throw new EngineError('ERR_REQUEST_NOT_FOUND', `nothing is revoked as ${target}`, {
        source: 'caller',
      });
    await ring.withdraw([id], `restored by ${caller.name}${reason ? `: ${reason}` : ''}`);
    return answer([standing]);
  },

  list: async (): Promise<RevocationAnswer> => answer([...(await standingNow()).values()]),
});

export const expiredRevocations = (standing: StandingSet, nowMs: number): readonly string[] =>
  [...standing.values()]
    .filter(({ body }) => body.type === 'revocation' && body.expiresMs <= nowMs)
    .map(({ id }) => id);

const answer = (decisions: readonly StandingDecision[]): RevocationAnswer => ({
  revocations: decisions.flatMap(({ body, by, reason }) =>
    body.type === 'revocation'
      ? [{ target: body.target, expiresMs: body.expiresMs, by, reason }]
      : [],
  ),
});
