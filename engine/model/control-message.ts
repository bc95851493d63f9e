// What control says to agents. Signed as a whole; nothing in here is believed before the signature is checked.
import type { DecisionBody, StandingDecision } from './decision.ts';
import { EngineError } from './errors.ts';
import { isScope, type Scope } from './scope.ts';
import type { Snapshot } from './snapshot.ts';

interface Header {
  readonly v: 1;
  readonly mesh: string;
  readonly scope: Scope;
  /** Orders all messages of the scope, snapshots and decisions together (position.ts). */
  readonly position: number;
  /** When control published it, milliseconds since 1970. Information only; nothing is ordered by it. */
  readonly issuedMs: number;
  /** Agents that this is not for: they have a trial instead. */
  readonly except?: readonly string[];
}

export interface SnapshotMessage extends Header {
  readonly type: 'snapshot';
  /** Revision of the policy set it was compiled from. */
  readonly revision: number;
  readonly snapshot: Snapshot;
}

export interface DecisionMessage extends Header {
  readonly type: 'decision';
  /** Revision the decision was made against. On any other revision it is acked `orphan`. */
  readonly basis: number;
  readonly decision: StandingDecision;
}

/** A policy canary: what the next revision would be, for some agents of the scope only. */
export interface TrialMessage extends Header {
  readonly type: 'trial';
  readonly only: readonly string[];
  /** That the policy set will have once this is committed. */
  readonly revision: number;
  readonly snapshot: Snapshot;
}

export type ControlMessage = SnapshotMessage | DecisionMessage | TrialMessage;

export type DecisionOf<T extends DecisionBody['type']> = Extract<DecisionBody, { type: T }>;

export const encodeMessage = (message: ControlMessage): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(message));

type Unchecked = Record<string, unknown>;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isNames = (value: unknown): boolean =>
  Array.isArray(value) && value.every((name) => typeof name === 'string');
const isObject = (value: unknown): value is Unchecked =>
  typeof value === 'object' && value !== null;

const header: Readonly<Record<string, (value: unknown) => boolean>> = {
  v: (value) => value === 1,
  mesh: (value) => typeof value === 'string',
  scope: (value) => typeof value === 'string' && isScope(value),
  position: isCount,
  except: (value) => value === undefined || isNames(value),
};
const bodies: Readonly<Record<string, (value: Unchecked) => boolean>> = {
  snapshot: (value) => isCount(value['revision']) && isObject(value['snapshot']),
  trial: (value) =>
    isNames(value['only']) && isCount(value['revision']) && isObject(value['snapshot']),
  decision: (value) =>
    isCount(value['basis']) && isObject(value['decision']) && isObject(value['decision']['body']),
};

/**
 * Bytes that have passed the signature check become a message. The signer is trusted, so only the header, which decides
 * where the message may go, is looked at field by field.
 */
export const parseMessage = (bytes: Uint8Array): ControlMessage => {
  const malformed = (what: string, cause?: unknown) =>
    new EngineError('ERR_MESSAGE_MALFORMED', `control message: ${what}`, { source: 'bus', cause });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformed('not JSON', cause);
  }
  if (!isObject(value)) throw malformed('not an object');
  for (const [field, isValid] of Object.entries(header))
    if (!isValid(value[field])) throw malformed(`field ${field} is not understood`);
  const isBody = bodies[String(value['type'])];
  if (!isBody) throw malformed(`type ${String(value['type'])} is not known`);
  if (!isBody(value)) throw malformed(`${String(value['type'])} is incomplete`);
  return value as unknown as ControlMessage;
};
