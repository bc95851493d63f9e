// The set of decisions in force. It is recorded before a decision is published and is input of every compile, so a newer
// snapshot can take the place of an agent's overlay with no gap and no un-rollback.
import { type DecisionBody, decisionId, type StandingDecision } from '../model/decision.ts';

export type StandingSet = ReadonlyMap<string, StandingDecision>;

/** Makes the next decision about a target; its serial is above every earlier one. */
export const nextDecision = (
  standing: StandingSet,
  body: DecisionBody,
  origin: { readonly by: string; readonly reason: string },
): StandingDecision => {
  const id = decisionId(body);
  return { id, serial: (standing.get(id)?.serial ?? 0) + 1, body, ...origin };
};

/** Absolute and idempotent: a smaller or equal serial changes nothing, so replays and late writes are harmless. */
export const record = (standing: StandingSet, decision: StandingDecision): StandingSet =>
  decision.serial <= (standing.get(decision.id)?.serial ?? 0)
    ? standing
    : new Map(standing).set(decision.id, decision);

/** An operator withdraws it, or policy itself now says the same. */
export const withdraw = (standing: StandingSet, id: string): StandingSet => {
  if (!standing.has(id)) return standing;
  const rest = new Map(standing);
  rest.delete(id);
  return rest;
};
