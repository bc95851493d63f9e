// What control has said to each scope: the fold of the control stream, as every agent of the scope sees it.
import {
  type ControlMessage,
  type DecisionMessage,
  parseMessage,
  type SnapshotMessage,
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
}

const nothing = (scope: Scope): PublishedScope => ({
  scope,
  position: 0,
  snapshot: undefined,
  text: '',
  decisions: new Map(),
});

/** Messages in any order give the same result: only positions count. */
const fold = (before: PublishedScope, message: ControlMessage): PublishedScope => {
  const position = Math.max(before.position, message.position);
  const since = before.snapshot?.position ?? 0;
  if (message.position <= since) return { ...before, position };
  if (message.type === 'snapshot') {
    const later = [...before.decisions].filter(([, made]) => made.position > message.position);
    return {
      scope: before.scope,
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
