// Standing decisions on record. One immutable key per decision made: whoever creates `<target>.<serial>` made it, so two
// leaders can never both have decided the same step, and a late write of a deposed one changes nothing that is known.

import type { StandingSet } from '#engine/compile/standing.ts';
import type { DecisionBody, StandingDecision } from '#engine/model/decision.ts';
import { decisionId } from '#engine/model/decision.ts';
import { EngineError } from '#engine/model/errors.ts';
import { subjectToken } from '#engine/model/subjects.ts';
import type { Store } from '#engine/ports/store.ts';
import { decodeJson, encodeJson } from './codec.ts';

type Page =
  | { readonly v: 1; readonly type: 'standing'; readonly decision: StandingDecision }
  | {
      readonly v: 1;
      readonly type: 'withdrawn';
      readonly id: string;
      readonly serial: number;
      readonly reason: string;
    };

const idOf = (page: Page): string => (page.type === 'standing' ? page.decision.id : page.id);
const serialOf = (page: Page): number =>
  page.type === 'standing' ? page.decision.serial : page.serial;
const keyOf = (page: Page): string => `${subjectToken(idOf(page))}.${serialOf(page)}`;

export class StandingBook {
  readonly #store: Store;
  readonly #onError: (where: string, error: unknown) => void;
  /** The newest page about each target; withdrawn ones stay, so that serials never start again. */
  #pages: ReadonlyMap<string, Page> = new Map();

  constructor(store: Store, onError: (where: string, error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  get standing(): StandingSet {
    const set = new Map<string, StandingDecision>();
    for (const page of this.#pages.values())
      if (page.type === 'standing') set.set(page.decision.id, page.decision);
    return set;
  }

  async load(): Promise<void> {
    const pages = new Map<string, Page>();
    for (const entry of await this.#store.entries()) {
      const page = this.#read(entry.key, entry.value);
      if (!page) continue;
      const known = pages.get(idOf(page));
      if (!known || serialOf(known) < serialOf(page)) pages.set(idOf(page), page);
    }
    this.#pages = pages;
  }

  /** Resolves once it is on record; only then may it be published. ERR_STORE_CONFLICT means that another leader decided. */
  async record(
    body: DecisionBody,
    origin: { readonly by: string; readonly reason: string },
  ): Promise<StandingDecision> {
    const id = decisionId(body);
    const decision: StandingDecision = { id, serial: this.#nextSerial(id), body, ...origin };
    await this.#write({ v: 1, type: 'standing', decision });
    return decision;
  }

  /** A decision that was published and of which nothing is on record. */
  async adopt(decision: StandingDecision): Promise<void> {
    const page = this.#pages.get(decision.id);
    if (page && serialOf(page) >= decision.serial) return;
    await this.#write({ v: 1, type: 'standing', decision });
  }

  async withdraw(id: string, reason: string): Promise<void> {
    if (this.#pages.get(id)?.type !== 'standing') return;
    await this.#write({ v: 1, type: 'withdrawn', id, serial: this.#nextSerial(id), reason });
  }

  #nextSerial(id: string): number {
    const page = this.#pages.get(id);
    return page ? serialOf(page) + 1 : 1;
  }

  async #write(page: Page): Promise<void> {
    try {
      await this.#store.create(keyOf(page), encodeJson(page));
    } catch (error) {
      if (error instanceof EngineError && error.code === 'ERR_STORE_CONFLICT') await this.load();
      throw error;
    }
    const before = this.#pages.get(idOf(page));
    this.#pages = new Map(this.#pages).set(idOf(page), page);
    if (before) await this.#forget(keyOf(before));
  }

  #read(key: string, value: Uint8Array): Page | undefined {
    try {
      const page = decodeJson(value, `standing decision ${key}`) as Page;
      if (page?.type === 'standing' || page?.type === 'withdrawn') return page;
      throw new EngineError('ERR_STORE_UNREADABLE', `standing decision ${key} is not understood`);
    } catch (error) {
      this.#onError(`standing decision ${key}`, error);
      return undefined;
    }
  }

  /** What stays behind is overtaken anyway. */
  async #forget(key: string): Promise<void> {
    try {
      await this.#store.delete(key);
    } catch (error) {
      this.#onError(`delete ${key}`, error);
    }
  }
}
