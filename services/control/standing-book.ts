// Standing decisions on record. One immutable key per decision made: whoever creates `<target>.<serial>` made it, so two
// leaders can never both have decided the same step. A leader begins its term with a mark of its own: what a deposed one
// writes after that mark, however it was held up, is void for ever (docs/adr/0012-late-decisions-are-void.md).

import type { StandingSet } from '#engine/compile/standing.ts';
import type { DecisionBody, StandingDecision } from '#engine/model/decision.ts';
import { decisionId } from '#engine/model/decision.ts';
import { EngineError } from '#engine/model/errors.ts';
import { subjectToken } from '#engine/model/subjects.ts';
import type { Store, StoreEntry } from '#engine/ports/store.ts';
import { decodeJson, encodeJson } from './codec.ts';
import type { Term } from './leadership.ts';

/** `epoch` of the leader who wrote it; pages of releases that did not say have none, and come before every mark. */
type Page =
  | {
      readonly v: 1;
      readonly type: 'standing';
      readonly epoch?: number;
      readonly decision: StandingDecision;
    }
  | {
      readonly v: 1;
      readonly type: 'withdrawn';
      readonly epoch?: number;
      readonly id: string;
      readonly serial: number;
      readonly reason: string;
    };

const idOf = (page: Page): string => (page.type === 'standing' ? page.decision.id : page.id);
const serialOf = (page: Page): number =>
  page.type === 'standing' ? page.decision.serial : page.serial;
const markOf = (epoch: number): string => `epoch.${epoch}`;
const epochIn = (key: string): number | undefined => {
  const [, epoch] = /^epoch\.(\d+)$/.exec(key) ?? [];
  return epoch === undefined ? undefined : Number(epoch);
};

/** Marks that are kept; any later one makes an old leader's pages void as well. */
const MARKS = 16;
/** Overtaken pages are deleted so many at a time: it takes a look at the whole record. */
const OVERTAKEN = 8;

const keyOf = (page: Page): string => `${subjectToken(idOf(page))}.${serialOf(page)}`;

export class StandingBook {
  readonly #store: Store;
  readonly #onError: (where: string, error: unknown) => void;
  /** The newest page about each target; withdrawn ones stay, so that serials never start again. */
  #pages: ReadonlyMap<string, Page> = new Map();
  /** Serials that are taken, by void pages too. */
  #serials: ReadonlyMap<string, number> = new Map();
  #term: Pick<Term, 'epoch' | 'isValid'> | undefined;
  /** Keys that nobody needs once it is certain that what overtook them is not void. */
  #overtaken: string[] = [];
  #latestEpoch = 0;

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

  /** Of the youngest leader that has begun, as far as is known. */
  get latestEpoch(): number {
    return this.#latestEpoch;
  }

  /**
   * From now on it is this leader that writes. The mark comes first: what is written after it by others is void. Throws
   * ERR_NOT_LEADER if a younger leader has begun: then it is this one whose pages would be void.
   */
  async begin(term: Pick<Term, 'epoch' | 'isValid'>): Promise<void> {
    try {
      await this.#store.create(markOf(term.epoch), encodeJson({ v: 1, epoch: term.epoch }));
    } catch (error) {
      // A leader that failed half way begins its term again.
      if (!isConflict(error)) throw error;
    }
    const entries = await this.#entriesWith(markOf(term.epoch));
    const done = this.#take(entries);
    if (this.#latestEpoch > term.epoch)
      throw new EngineError(
        'ERR_NOT_LEADER',
        `epoch ${this.#latestEpoch} has begun, ${term.epoch} comes too late`,
        { retryable: true },
      );
    this.#term = term;
    for (const key of done) await this.#forget(key);
  }

  async load(): Promise<void> {
    this.#take(await this.#store.entries());
  }

  /**
   * Everything on record, at least up to what we wrote last. A copy of the bucket that lags behind would show the record as
   * it was before others wrote.
   */
  async #entriesWith(ours: string): Promise<readonly StoreEntry[]> {
    const entries = await this.#store.entries();
    if (entries.some(({ key }) => key === ours)) return entries;
    throw new EngineError('ERR_STORE_UNREADABLE', `the record was read without its ${ours}`, {
      retryable: true,
    });
  }

  /** Answers with the keys that nobody needs any more. */
  #take(entries: readonly StoreEntry[]): readonly string[] {
    const pages = new Map<string, { readonly page: Page; readonly key: string }>();
    const serials = new Map<string, number>();
    const marks = entries.flatMap(({ key, revision }) => {
      const epoch = epochIn(key);
      return epoch === undefined ? [] : [{ key, epoch, revision }];
    });
    const done = marks
      .toSorted((a, b) => b.epoch - a.epoch)
      .slice(MARKS)
      .map(({ key }) => key);
    for (const { key, value, revision } of entries) {
      const page = epochIn(key) === undefined ? this.#read(key, value) : undefined;
      if (!page) continue;
      const id = idOf(page);
      serials.set(id, Math.max(serials.get(id) ?? 0, serialOf(page)));
      const { epoch = 0 } = page;
      const isVoid = marks.some((mark) => mark.epoch > epoch && mark.revision < revision);
      const known = pages.get(id);
      const isNewest = !isVoid && (!known || serialOf(known.page) < serialOf(page));
      if (isNewest && known) done.push(known.key);
      if (isNewest) pages.set(id, { page, key });
      else done.push(key);
    }
    this.#pages = new Map([...pages].map(([id, { page }]) => [id, page]));
    this.#serials = serials;
    this.#overtaken = [];
    this.#latestEpoch = Math.max(this.#latestEpoch, ...marks.map(({ epoch }) => epoch));
    return done;
  }

  /** Resolves once it is on record; only then may it be published. ERR_STORE_CONFLICT means that another leader decided. */
  async record(
    body: DecisionBody,
    origin: { readonly by: string; readonly reason: string },
  ): Promise<StandingDecision> {
    const id = decisionId(body);
    const make = (): StandingDecision => ({ id, serial: this.#nextSerial(id), body, ...origin });
    const page = await this.#write(() => ({ v: 1, type: 'standing', decision: make() }));
    return page.type === 'standing' ? page.decision : make();
  }

  /** A decision that was published and of which nothing is on record. */
  async adopt(decision: StandingDecision): Promise<void> {
    const page = this.#pages.get(decision.id);
    if (page && serialOf(page) >= decision.serial) return;
    const { id, serial } = decision;
    await this.#write(() => ({
      v: 1,
      type: 'standing',
      decision: { ...decision, serial: Math.max(serial, this.#nextSerial(id)) },
    }));
  }

  async withdraw(id: string, reason: string): Promise<void> {
    if (this.#pages.get(id)?.type !== 'standing') return;
    await this.#write(() => ({
      v: 1,
      type: 'withdrawn',
      id,
      serial: this.#nextSerial(id),
      reason,
    }));
  }

  #nextSerial(id: string): number {
    return (this.#serials.get(id) ?? 0) + 1;
  }

  /** A serial that a void page has taken is left to it. */
  async #write(make: () => Page): Promise<Page> {
    const known = this.#pages;
    let page = this.#signed(make());
    try {
      await this.#store.create(keyOf(page), encodeJson(page));
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.load();
      const id = idOf(page);
      const isNews = JSON.stringify(this.#pages.get(id)) !== JSON.stringify(known.get(id));
      if (isNews || this.#term?.isValid() !== true) throw error;
      page = this.#signed(make());
      await this.#store.create(keyOf(page), encodeJson(page));
    }
    const before = this.#pages.get(idOf(page));
    this.#pages = new Map(this.#pages).set(idOf(page), page);
    this.#serials = new Map(this.#serials).set(idOf(page), serialOf(page));
    if (before) this.#overtaken.push(keyOf(before));
    if (this.#overtaken.length >= OVERTAKEN) await this.#tidy(keyOf(page));
    return page;
  }

  /**
   * If no younger leader had begun when `newest` was written, then nothing that this term has written so far is void, now or
   * ever. Nothing is taken from a clock: one that stood still would let a late leader delete what its successor relies on.
   */
  async #tidy(newest: string): Promise<void> {
    const { epoch = 0 } = this.#term ?? {};
    try {
      const entries = await this.#entriesWith(newest);
      if (entries.some(({ key }) => (epochIn(key) ?? 0) > epoch)) return;
    } catch (error) {
      this.#onError('tidy the record of decisions', error);
      return;
    }
    for (const key of this.#overtaken.splice(0)) await this.#forget(key);
  }

  #signed(page: Page): Page {
    return this.#term ? { ...page, epoch: this.#term.epoch } : page;
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

const isConflict = (error: unknown): boolean =>
  error instanceof EngineError && error.code === 'ERR_STORE_CONFLICT';
