// Follows one memory stream: first what is there, then what comes.
import { matchesSubject } from '#engine/model/subjects.ts';
import type { LogEntry, LogReader } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import type { MemoryStream } from './stream.ts';

export type ReadFrom = 'all' | 'last' | 'new' | number;

export class MemoryReader implements LogReader {
  readonly caughtUp: Promise<void>;
  readonly #stream: MemoryStream;
  readonly #filter: string;
  readonly #isUp: () => boolean;
  readonly #queue: Queue<LogEntry>;
  #seen: number;
  #backlog: number;
  #markCaughtUp: () => void = () => {};

  constructor(stream: MemoryStream, filter: string, from: ReadFrom, isUp: () => boolean) {
    this.#stream = stream;
    this.#filter = filter;
    this.#isUp = isUp;
    this.#queue = new Queue({ onPull: () => this.#pulled(), onClose: () => this.close() });
    this.caughtUp = new Promise((resolve) => {
      this.#markCaughtUp = resolve;
    });
    const stored = this.#stored(from);
    this.#backlog = stored.length;
    for (const entry of stored) this.#queue.push(entry);
    this.#seen = stream.lastSequence;
    if (stored.length === 0) this.#markCaughtUp();
    stream.readers.add(this);
  }

  #stored(from: ReadFrom): LogEntry[] {
    if (from === 'new') return [];
    if (from === 'last') return this.#stream.lastPerSubject(this.#filter);
    return this.#stream.from(this.#filter, from === 'all' ? 0 : from);
  }

  #pulled(): void {
    if (this.#backlog === 0) this.#markCaughtUp();
    else this.#backlog -= 1;
  }

  /** A reader that is cut off reads it when it is back. */
  offer(entry: LogEntry): void {
    if (!this.#isUp()) return;
    this.#seen = entry.sequence;
    if (matchesSubject(this.#filter, entry.subject)) this.#queue.push(entry);
  }

  verify(lastSequence: number): void {
    if (lastSequence > this.#seen) this.resume();
  }

  resume(): void {
    if (!this.#isUp()) return;
    for (const entry of this.#stream.from(this.#filter, this.#seen + 1)) this.#queue.push(entry);
    this.#seen = this.#stream.lastSequence;
  }

  restart(): void {
    this.#seen = 0;
  }

  close(): void {
    this.#stream.readers.delete(this);
    this.#queue.close();
    this.#markCaughtUp();
  }

  [Symbol.asyncIterator](): AsyncIterator<LogEntry> {
    return this.#queue;
  }
}
