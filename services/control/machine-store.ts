// Where machines survive a crash. The epoch of the writer is part of the key, so a deposed leader's late write never lands on
// its successor's state; the highest epoch counts. For that a leader writes what it takes up, and what it removes, under its
// own epoch before it goes on (docs/adr/0012-late-decisions-are-void.md).

import { subjectToken } from '#engine/model/subjects.ts';
import type { Store } from '#engine/ports/store.ts';
import { decodeJson, encodeJson } from './codec.ts';

interface Envelope {
  readonly v: 1;
  readonly name: string;
  readonly state?: unknown;
  /** There is nothing of that name any more. */
  readonly removed?: true;
}

interface Stored {
  readonly token: string;
  readonly epoch: number;
  readonly name: string;
  readonly state: unknown;
  readonly removed: boolean;
}

/** What `subjectToken` was made from. */
const nameIn = (token: string): string => {
  try {
    return decodeURIComponent(token.replaceAll('=', '%'));
  } catch {
    return token;
  }
};

/** Epochs after which nobody is left who could write late what was removed. */
const KEPT_EPOCHS = 16;

export class MachineStore {
  readonly #store: Store;
  readonly #written = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Every state by name. One that cannot be read is handed to `onUnreadable` and left out. */
  async load(
    prefix: string,
    onUnreadable: (name: string, error: unknown) => void,
  ): Promise<ReadonlyMap<string, unknown>> {
    const stored = await this.#read(prefix, onUnreadable);
    return new Map(stored.flatMap((one) => (one.removed ? [] : [[one.name, one.state] as const])));
  }

  /** As `load`, for the leader of `epoch`: from then on nothing that an earlier one writes counts. */
  async takeUp(
    prefix: string,
    epoch: number,
    onUnreadable: (name: string, error: unknown) => void,
  ): Promise<ReadonlyMap<string, unknown>> {
    const stored = await this.#read(prefix, onUnreadable);
    for (const one of stored) {
      const stem = `${prefix}.${one.token}`;
      if (!one.removed) await this.#put(stem, epoch, { v: 1, name: one.name, state: one.state });
      else if (one.epoch + KEPT_EPOCHS < epoch) await this.#sweep(stem, epoch);
    }
    return new Map(stored.flatMap((one) => (one.removed ? [] : [[one.name, one.state] as const])));
  }

  /** The newest of each name. */
  async #read(
    prefix: string,
    onUnreadable: (name: string, error: unknown) => void,
  ): Promise<readonly Stored[]> {
    const newest = new Map<string, { readonly epoch: number; readonly value: Uint8Array }>();
    for (const { key, value } of await this.#store.entries()) {
      const match = /^(.+)\.(.+)\.(\d+)$/.exec(key);
      if (match?.[1] !== prefix) continue;
      const token = match[2] ?? '';
      const epoch = Number(match[3]);
      if ((newest.get(token)?.epoch ?? -1) < epoch) newest.set(token, { epoch, value });
    }
    return [...newest].flatMap(([token, { epoch, value }]) => {
      try {
        const key = `state ${prefix}.${token}.${epoch}`;
        const { name, state, removed = false, v } = decodeJson(value, key) as Partial<Envelope>;
        if (v !== 1 || name === undefined) throw new Error(`${key} is of another release`);
        return [{ token, epoch, name, state, removed }];
      } catch (error) {
        onUnreadable(nameIn(token), error);
        return [];
      }
    });
  }

  async save(prefix: string, name: string, epoch: number, state: unknown): Promise<void> {
    await this.#put(`${prefix}.${subjectToken(name)}`, epoch, { v: 1, name, state });
  }

  async remove(prefix: string, name: string, epoch: number): Promise<void> {
    await this.#put(`${prefix}.${subjectToken(name)}`, epoch, { v: 1, name, removed: true });
  }

  async #put(stem: string, epoch: number, envelope: Envelope): Promise<void> {
    await this.#store.put(`${stem}.${epoch}`, encodeJson(envelope));
    if (this.#written.get(stem) === epoch) return;
    this.#written.set(stem, epoch);
    await this.#sweep(stem, epoch);
  }

  async #sweep(stem: string, below: number): Promise<void> {
    for (const { key } of await this.#store.entries()) {
      const dot = key.lastIndexOf('.');
      if (key.slice(0, dot) === stem && Number(key.slice(dot + 1)) < below)
        await this.#store.delete(key);
    }
  }
}
