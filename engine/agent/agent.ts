// What an agent does with a control message: a fold. The rim (services/agent) verifies, stores, activates and acks.
import type { ControlMessage, DecisionMessage, SnapshotMessage } from '../model/control-message.ts';
import type { DecisionBody } from '../model/decision.ts';
import type { Scope } from '../model/scope.ts';
import type { PlaneView } from '../ports/data-plane.ts';

export interface AgentState {
  readonly mesh: string;
  readonly scope: Scope;
  /** Position of the last applied message; 0 before the first. */
  readonly position: number;
  readonly active: SnapshotMessage | undefined;
  /** Decisions applied on top of `active`, by decision id. */
  readonly overlay: ReadonlyMap<string, DecisionMessage>;
}

export interface Received {
  readonly outcome: 'applied' | 'orphan' | 'stale' | 'rejected';
  readonly reason?: string;
}

export const initialAgent = (mesh: string, scope: Scope): AgentState => ({
  mesh,
  scope,
  position: 0,
  active: undefined,
  overlay: new Map(),
});

/** Never throws, never goes back: only a message above the last applied position changes the state. */
export const receive = (
  state: AgentState,
  message: ControlMessage,
): readonly [AgentState, Received] => {
  if (message.mesh !== state.mesh || message.scope !== state.scope)
    return [
      state,
      { outcome: 'rejected', reason: `addressed to ${message.mesh}/${message.scope}` },
    ];
  if (message.position <= state.position)
    return [
      state,
      { outcome: 'stale', reason: `position ${message.position} is not above ${state.position}` },
    ];
  if (message.type === 'snapshot')
    // The snapshot contains every decision that stood when it was compiled, so the overlay goes without a gap.
    return [
      { ...state, position: message.position, active: message, overlay: new Map() },
      { outcome: 'applied' },
    ];
  if (message.basis !== state.active?.revision)
    return [
      state,
      {
        outcome: 'orphan',
        reason: `basis r${message.basis} is not the active revision r${state.active?.revision ?? 0}`,
      },
    ];
  const overlay = new Map(state.overlay).set(message.decision.id, message);
  return [{ ...state, position: message.position, overlay }, { outcome: 'applied' }];
};

/** What the data plane is to enforce; undefined before the first snapshot. */
export const viewOf = (state: AgentState): PlaneView | undefined => {
  if (!state.active) return undefined;
  const overlay = new Map<string, DecisionBody>();
  for (const [id, message] of state.overlay) overlay.set(id, message.decision.body);
  return {
    scope: state.scope,
    revision: state.active.revision,
    position: state.position,
    snapshot: state.active.snapshot,
    overlay,
  };
};
