// What an agent does with a control message: a fold. The rim (services/agent) verifies, stores, activates and acks.
import type {
  ControlMessage,
  DecisionMessage,
  SnapshotMessage,
  TrialMessage,
} from '../model/control-message.ts';
import type { DecisionBody } from '../model/decision.ts';
import { formatPosition } from '../model/position.ts';
import type { Scope } from '../model/scope.ts';
import type { PlaneView } from '../ports/data-plane.ts';

export interface AgentState {
  readonly mesh: string;
  readonly scope: Scope;
  /** Its own name: some messages are for some agents of the scope only. */
  readonly agent: string;
  /** Highest position applied; 0 before the first. */
  readonly position: number;
  readonly active: SnapshotMessage | TrialMessage | undefined;
  /** Decisions applied on top of `active`, by decision id. */
  readonly overlay: ReadonlyMap<string, DecisionMessage>;
}

export interface Received {
  /** other: meant for other agents of the scope, nothing to report. */
  readonly outcome: 'applied' | 'orphan' | 'stale' | 'rejected' | 'other';
  readonly reason?: string;
}

export const initialAgent = (mesh: string, scope: Scope, agent: string): AgentState => ({
  mesh,
  scope,
  agent,
  position: 0,
  active: undefined,
  overlay: new Map(),
});

/**
 * Never throws, never goes back. A message must be above the newest word about the same thing: the active snapshot, and for
 * a decision also the last decision about its target. So one that was overtaken by a message about something else still
 * counts when it comes after all.
 */
export const receive = (
  state: AgentState,
  message: ControlMessage,
): readonly [AgentState, Received] => {
  if (message.mesh !== state.mesh || message.scope !== state.scope)
    return [
      state,
      { outcome: 'rejected', reason: `addressed to ${message.mesh}/${message.scope}` },
    ];
  if (!isFor(state.agent, message)) return [state, { outcome: 'other' }];
  const known = knownPosition(state, message);
  if (message.position <= known)
    return [
      state,
      {
        outcome: 'stale',
        reason: `position ${formatPosition(message.position)} is not above ${formatPosition(known)}`,
      },
    ];
  const position = Math.max(state.position, message.position);
  if (message.type !== 'decision')
    return [
      { ...state, position, active: message, overlay: notIn(message, state.overlay) },
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
  return [{ ...state, position, overlay }, { outcome: 'applied' }];
};

const isFor = (agent: string, message: ControlMessage): boolean =>
  message.type === 'trial' ? message.only.includes(agent) : !message.except?.includes(agent);

const knownPosition = (state: AgentState, message: ControlMessage): number => {
  const active = state.active?.position ?? 0;
  if (message.type === 'decision')
    return Math.max(active, state.overlay.get(message.decision.id)?.position ?? 0);
  // A decision made on another revision cannot stay on top of this one, so the snapshot must be newer than it.
  const others = [...state.overlay.values()].filter(({ basis }) => basis !== message.revision);
  return Math.max(active, ...others.map(({ position }) => position));
};

/**
 * A snapshot contains every decision that stood when it was compiled, so the overlay goes without a gap; only what was
 * decided after it stays.
 */
const notIn = (
  { position }: SnapshotMessage | TrialMessage,
  overlay: AgentState['overlay'],
): AgentState['overlay'] =>
  new Map([...overlay].filter(([, decision]) => decision.position > position));

/** The messages that make up a state, in the order that `receive` folds into the same state again. */
export const messagesOf = (state: AgentState): readonly ControlMessage[] =>
  state.active ? [state.active, ...state.overlay.values()] : [];

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
