// An ordered run of entries in memory, with the readers that follow it.
import { matchesSubject, streams } from '#engine/model/subjects.ts';
import type { LogEntry } from '#engine/ports/log.ts';

interface Follower {
  /** The stream has a new entry. */
  offer(entry: LogEntry): void;
  /** Sequences start at 1 again. */
  restart(): void;
}

/** As the streams on NATS have it. */
const ID_WINDOW_MS = 120_000;

export class MemoryStream {
  readonly name: string;
  readonly readers = new Set<Follower>();
  /** Entries of one subject that are kept; the control stream holds the last value only. */
  readonly #perSubject: number;
  #entries: LogEntry[] = [];
  #last = 0;
  readonly #ids = new Map<string, { readonly sequence: number; readonly atMs: number }>();

  constructor(name: string) {
    this.name = name;
    this.#perSubject = name === streams.control ? 1 : Number.POSITIVE_INFINITY;
  }

  get lastSequence(): number {
    return this.#last;
  }

  /** Sequence of the entry that had this id a short while ago. */
  known(id: string | undefined, nowMs: number): number | undefined {
    for (const [old, { atMs }] of this.#ids) if (nowMs - atMs > ID_WINDOW_MS) this.#ids.delete(old);
    return id === undefined ? undefined : this.#ids.get(id)?.sequence;
  }

  append(subject: string, data: Uint8Array, atMs: number, id?: string): number {
    this.#last += 1;
    if (id !== undefined) this.#ids.set(id, { sequence: this.#last, atMs });
    const entry: LogEntry = { subject, sequence: this.#last, data, atMs };
    if (this.#perSubject === 1)
      this.#entries = this.#entries.filter((kept) => kept.subject !== subject);
    this.#entries.push(entry);
    for (const reader of this.readers) reader.offer(entry);
    return entry.sequence;
  }

  /** The last entry on an exact subject. */
  last(subject: string): LogEntry | undefined {
    return this.#entries.findLast((entry) => entry.subject === subject);
  }

  from(filter: string, sequence: number): LogEntry[] {
    return this.#entries.filter(
      (entry) => entry.sequence >= sequence && matchesSubject(filter, entry.subject),
    );
  }

  lastPerSubject(filter: string): LogEntry[] {
    const newest = new Map<string, LogEntry>();
    for (const entry of this.from(filter, 0)) newest.set(entry.subject, entry);
    return [...newest.values()].toSorted((a, b) => a.sequence - b.sequence);
  }

  trim(subject: string, below: number): void {
    this.#entries = this.#entries.filter(
      (entry) => entry.subject !== subject || entry.sequence >= below,
    );
  }

  /** Everything is gone and sequences start anew, as when an operator deletes the stream and control makes it again. */
  recreate(): void {
    this.#entries = [];
    this.#last = 0;
    this.#ids.clear();
    for (const reader of this.readers) reader.restart();
  }
}
