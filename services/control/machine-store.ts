// Where rollouts survive a crash. The epoch of the writer is part of the key, so a deposed leader's late write never lands
// on its successor's state; the highest epoch counts.

import { subjectToken } from '#engine/model/subjects.ts';
import type { Store } from '#engine/ports/store.ts';
import { decodeJson, encodeJson } from './codec.ts';

interface Envelope {
  readonly v: 1;
  readonly name: string;
  readonly state: unknown;
}

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
    const newest = new Map<string, { epoch: number; state: unknown; name: string }>();
    for (const { key, value } of await this.#store.entries()) {
      const match = /^(.+)\.(.+)\.(\d+)$/.exec(key);
      if (match?.[1] !== prefix) continue;
      const token = match[2] ?? '';
      const epoch = Number(match[3]);
      if ((newest.get(token)?.epoch ?? -1) > epoch) continue;
      try {
        const { name, state, v } = decodeJson(value, `state ${key}`) as Partial<Envelope>;
        if (v !== 1 || name === undefined) throw new Error(`state ${key} is of another release`);
        newest.set(token, { epoch, name, state });
      } catch (error) {
        newest.delete(token);
        onUnreadable(token, error);
      }
    }
    return new Map([...newest.values()].map(({ name, state }) => [name, state]));
  }

  async save(prefix: string, name: string, epoch: number, state: unknown): Promise<void> {
    const stem = `${prefix}.${subjectToken(name)}`;
    await this.#store.put(`${stem}.${epoch}`, encodeJson({ v: 1, name, state } satisfies Envelope));
    if (this.#written.get(stem) === epoch) return;
    this.#written.set(stem, epoch);
    await this.#sweep(stem, epoch);
  }

  async remove(prefix: string, name: string): Promise<void> {
    const stem = `${prefix}.${subjectToken(name)}`;
    this.#written.delete(stem);
    await this.#sweep(stem, Number.POSITIVE_INFINITY);
  }

  async #sweep(stem: string, below: number): Promise<void> {
    for (const { key } of await this.#store.entries()) {
      const dot = key.lastIndexOf('.');
      if (key.slice(0, dot) === stem && Number(key.slice(dot + 1)) < below)
        await this.#store.delete(key);
    }
  }
}
