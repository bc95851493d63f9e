// What control has said to each scope: the fold of the control stream, as every agent of the scope sees it.
import {
  type ControlMessage,
  type DecisionMessage,
  parseMessage,
  type SnapshotMessage,
  type TrialMessage,
} from '#engine/model/control-message.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Verifier } from '#engine/ports/signer.ts';

export interface PublishedScope {
  readonly scope: Scope;
  /** Of the newest message. */
  readonly position: number;
  readonly snapshot: SnapshotMessage | undefined;
  /** `snapshot.snapshot` as text: what a compile result is compared with. */
  readonly text: string;
  /** Made after the snapshot, by decision id. */
  readonly decisions: ReadonlyMap<string, DecisionMessage>;
  /** The last one; over, where the snapshot is newer and meant for everybody. */
  readonly trial: TrialMessage | undefined;
}

const nothing = (scope: Scope): PublishedScope => ({
  scope,
  position: 0,
  snapshot: undefined,
  text: '',
  decisions: new Map(),
  trial: undefined,
});

/** Messages in any order give the same result: only positions count. */
const fold = (before: PublishedScope, message: ControlMessage): PublishedScope => {
  const position = Math.max(before.position, message.position);
  if (message.type === 'trial') {
    const isNewer = message.position > (before.trial?.position ?? 0);
    return { ...before, position, ...(isNewer && { trial: message }) };
  }
  const since = before.snapshot?.position ?? 0;
  if (message.position <= since) return { ...before, position };
  if (message.type === 'snapshot') {
    const later = [...before.decisions].filter(([, made]) => made.position > message.position);
    return {
      ...before,
      position,
      snapshot: message,
      text: JSON.stringify(message.snapshot),
      decisions: new Map(later),
    };
  }
  const known = before.decisions.get(message.decision.id)?.position ?? 0;
  if (message.position <= known) return { ...before, position };
  return {
    ...before,
    position,
    decisions: new Map(before.decisions).set(message.decision.id, message),
  };
};

/** The trial that some agents of the scope follow now. */
export const trialOf = ({ snapshot, trial }: PublishedScope): TrialMessage | undefined =>
  trial && (trial.position > (snapshot?.position ?? 0) || snapshot?.except) ? trial : undefined;

/** What an agent has to be at, where everybody has to be at `position`: on trial it is the trial's. */
export const positionFor = (said: PublishedScope, agent: string, position: number): number => {
  const trial = trialOf(said);
  return trial?.only.includes(agent) ? trial.position : position;
};

/** The newest position that is meant for the agent. */
export const newestFor = (said: PublishedScope, agent: string): number => {
  const decided = [...said.decisions.values()].map(({ position }) => position);
  return positionFor(said, agent, Math.max(said.snapshot?.position ?? 0, ...decided));
};

export class Published {
  readonly #verifier: Verifier;
  readonly #scopes = new Map<Scope, PublishedScope>();

  constructor(verifier: Verifier) {
    this.#verifier = verifier;
  }

  /** Throws for what no trusted key signed. */
  async open(sealed: Uint8Array): Promise<ControlMessage> {
    return parseMessage(await this.#verifier.open(sealed));
  }

  accept(message: ControlMessage): void {
    this.#scopes.set(message.scope, fold(this.of(message.scope), message));
  }

  of(scope: Scope): PublishedScope {
    return this.#scopes.get(scope) ?? nothing(scope);
  }

  get scopes(): readonly PublishedScope[] {
    return [...this.#scopes.values()];
  }
}
