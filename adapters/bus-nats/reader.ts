// Follows a stream for as long as it takes: over reconnects, servers that were killed, consumers that vanished in
// silence and streams that were emptied or made anew (then its sequences start again, and so does the reader).
import type { MsgHdrs } from '@nats-io/nats-core';
import type { LogEntry, LogReader } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import {
  type Consumer,
  type Delivered,
  type DeliverPolicy,
  HEARTBEAT_MS,
  type Opened,
  openConsumer,
} from './consumer.ts';
import { apiCode, jetStreamCodes } from './errors.ts';
import type { Link } from './link.ts';
import { Assembler, marksOf } from './parts.ts';
import { streamInfo } from './streams.ts';

export type ReadFrom = 'all' | 'last' | 'new' | number;

export interface ReaderSettings {
  readonly link: Link;
  readonly stream: string;
  readonly filter: string;
  readonly from: ReadFrom;
  /** Makes the stream when it is not there; false where the role may not. */
  readonly makeStream: () => Promise<boolean>;
  /** Messages to leave out, by their headers. */
  readonly skip?: (headers: MsgHdrs | undefined) => boolean;
}

const SILENCE_MS = 3 * HEARTBEAT_MS;
const WATCH_MS = 250;
/** A message that the leader knows of may still be under way. */
const GRACE_MS = 1500;
const LONGEST_WAIT_MS = 2000;
/** The leader's word may be older than what was read; so often in a row it is not. */
const BACKWARD_WORDS = 3;

export class NatsReader implements LogReader {
  readonly caughtUp: Promise<void>;
  readonly #settings: ReaderSettings;
  readonly #queue: Queue<LogEntry>;
  readonly #assembler = new Assembler();
  readonly #watch: NodeJS.Timeout;
  readonly #stopWatchingLink: () => void;
  #markCaughtUp: () => void = () => {};
  #consumer: Consumer | undefined;
  #attempt = 0;
  /** When the stream was made. */
  #created: string | undefined;
  #retryAt = Number.POSITIVE_INFINITY;
  #retryWaitMs = WATCH_MS;
  #heardAt = 0;
  #consumerSequence = 0;
  /** Last message read: resuming starts at it, and a different one in its place means another stream. */
  #anchor: { readonly sequence: number; readonly atMs: number } | undefined;
  /** Nothing that matches is missing up to here. */
  #complete = 0;
  #opened = false;
  /** All that was stored at the time of opening has arrived. */
  #backlogIsIn = false;
  #pushed = 0;
  #pulls = 0;
  #caughtUpAtPull = Number.POSITIVE_INFINITY;
  #behind: { readonly target: number; readonly sinceMs: number } | undefined;
  #backwardWords = 0;
  #closed = false;

  constructor(settings: ReaderSettings) {
    this.#settings = settings;
    this.caughtUp = new Promise((resolve) => {
      this.#markCaughtUp = resolve;
    });
    this.#queue = new Queue({ onPull: () => this.#pulled(), onClose: () => this.close() });
    this.#stopWatchingLink = settings.link.onUp(() => this.#open());
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
    settings.link.keep(this);
    this.#open();
  }

  verify(lastSequence: number): void {
    if (lastSequence > this.#complete) {
      this.#behind ??= { target: lastSequence, sinceMs: performance.now() };
      this.#backwardWords = 0;
      return;
    }
    this.#backwardWords =
      lastSequence < (this.#anchor?.sequence ?? 0) ? this.#backwardWords + 1 : 0;
    if (this.#backwardWords < BACKWARD_WORDS) return;
    this.#backwardWords = 0;
    this.#open();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#stopWatchingLink();
    this.#consumer?.close();
    this.#settings.link.forget(this);
    this.#queue.close();
    this.#markCaughtUp();
  }

  [Symbol.asyncIterator](): AsyncIterator<LogEntry> {
    return this.#queue;
  }

  #pulled(): void {
    this.#pulls += 1;
    if (this.#pulls > this.#caughtUpAtPull) this.#markCaughtUp();
  }

  /** Once per watch tick: is the consumer alive, and is what it sends enough? */
  #look(): void {
    const now = performance.now();
    if (!this.#settings.link.isUp) return;
    if (this.#behind && this.#complete >= this.#behind.target) this.#behind = undefined;
    const isSilent = this.#consumer !== undefined && now - this.#heardAt > SILENCE_MS;
    const isBehind = this.#behind !== undefined && now - this.#behind.sinceMs > GRACE_MS;
    if (this.#behind && isBehind) this.#behind = { ...this.#behind, sinceMs: now };
    if (now >= this.#retryAt || isSilent || isBehind) this.#open();
  }

  #policy(): DeliverPolicy {
    const { from, link } = this.#settings;
    // Last values are few. An interrupted reading of them starts again, and so does every reading where the stream
    // cannot be looked at; what was seen already is left out.
    const isKnown = this.#backlogIsIn && link.mayManage && (this.#anchor || this.#complete > 0);
    if (from === 'last' && !isKnown) return { deliver_policy: 'last_per_subject' };
    if (this.#anchor)
      return { deliver_policy: 'by_start_sequence', opt_start_seq: this.#anchor.sequence };
    if (this.#opened && this.#complete > 0)
      return { deliver_policy: 'by_start_sequence', opt_start_seq: this.#complete + 1 };
    if (this.#opened) return { deliver_policy: 'all' };
    if (from === 'new' || from === 'all') return { deliver_policy: from };
    return { deliver_policy: 'by_start_sequence', opt_start_seq: Math.max(1, Number(from)) };
  }

  #open(): void {
    if (this.#closed) return;
    this.#consumer?.close();
    this.#consumer = undefined;
    this.#retryAt = Number.POSITIVE_INFINITY;
    this.#attempt += 1;
    if (!this.#settings.link.isUp) return;
    void this.#attach(this.#attempt);
  }

  async #attach(attempt: number): Promise<void> {
    const isCurrent = () => attempt === this.#attempt && !this.#closed;
    const { link, stream, filter } = this.#settings;
    try {
      if (link.mayManage) await this.#recogniseStream(isCurrent);
      if (!isCurrent()) return;
      const deliver = this.#policy();
      this.#consumerSequence = 0;
      this.#heardAt = performance.now();
      const consumer = openConsumer(
        link,
        { stream, filter, deliver },
        {
          message: (delivered) => {
            if (isCurrent()) this.#receive(delivered);
          },
          idle: (sent, upTo) => {
            if (isCurrent()) this.#idle(sent, upTo);
          },
        },
      );
      this.#consumer = consumer;
      const opened = await consumer.opened;
      if (isCurrent()) this.#began(deliver, opened);
    } catch (error) {
      if (isCurrent()) await this.#failed(error);
    }
  }

  /** Forgets its place if this is not the stream that it was reading: made anew, or restored from an older copy. */
  async #recogniseStream(isCurrent: () => boolean): Promise<void> {
    const { created, state } = await streamInfo(this.#settings.link, this.#settings.stream);
    if (!isCurrent()) return;
    const isOther = created !== this.#created || state.last_seq < (this.#anchor?.sequence ?? 0);
    if (this.#created !== undefined && isOther) this.#forgetPlace();
    this.#created = created;
  }

  #began(deliver: DeliverPolicy, opened: Opened): void {
    this.#heardAt = performance.now();
    this.#retryWaitMs = WATCH_MS;
    if (!this.#opened && deliver.deliver_policy === 'new') this.#complete = opened.startsAt - 1;
    this.#opened = true;
    if (opened.pending === 0) this.#nothingPending();
  }

  /** The server has sent all that matches and was stored until just now. */
  #nothingPending(): void {
    if (!this.#backlogIsIn) this.#backlogDone();
    if (this.#behind) this.#complete = Math.max(this.#complete, this.#behind.target);
    this.#behind = undefined;
  }

  async #failed(error: unknown): Promise<void> {
    this.#consumer?.close();
    this.#consumer = undefined;
    this.#retryAt = performance.now() + this.#retryWaitMs;
    this.#retryWaitMs = Math.min(this.#retryWaitMs * 2, LONGEST_WAIT_MS);
    if (apiCode(error) !== jetStreamCodes.streamNotFound) return;
    // What was read is of a stream that is gone.
    this.#forgetPlace();
    const isMade = await this.#settings.makeStream().catch(() => false);
    if (isMade) this.#retryAt = performance.now();
  }

  #forgetPlace(): void {
    this.#anchor = undefined;
    this.#complete = 0;
    this.#behind = undefined;
    this.#backwardWords = 0;
    this.#assembler.clear();
  }

  #startAnew(): void {
    this.#forgetPlace();
    this.#open();
  }

  #receive(delivered: Delivered): void {
    this.#heardAt = performance.now();
    if (delivered.consumerSequence !== this.#consumerSequence + 1) {
      this.#open();
      return;
    }
    this.#consumerSequence = delivered.consumerSequence;
    if (this.#isOther(delivered)) {
      this.#startAnew();
      return;
    }
    const isNew = delivered.streamSequence > (this.#anchor?.sequence ?? 0);
    if (isNew) this.#accept(delivered);
    if (delivered.pending === 0) this.#nothingPending();
  }

  /** In one stream what has an earlier number is no later than the anchor. */
  #isOther({ streamSequence, atMs }: Delivered): boolean {
    if (!this.#anchor || streamSequence > this.#anchor.sequence) return false;
    return streamSequence === this.#anchor.sequence
      ? atMs !== this.#anchor.atMs
      : atMs > this.#anchor.atMs;
  }

  #accept(delivered: Delivered): void {
    const { subject, streamSequence: sequence, atMs } = delivered;
    this.#anchor = { sequence, atMs };
    this.#complete = Math.max(this.#complete, sequence);
    if (this.#settings.skip?.(delivered.headers)) return;
    const data = this.#assembler.take(subject, delivered.data, marksOf(delivered.headers));
    if (data === undefined) return;
    this.#pushed += 1;
    this.#queue.push({ subject, sequence, data, atMs });
  }

  #idle(sent: number, upTo: number): void {
    this.#heardAt = performance.now();
    if (sent !== this.#consumerSequence) {
      this.#open();
      return;
    }
    if (!this.#backlogIsIn) this.#backlogDone();
    if (Number.isFinite(upTo)) this.#complete = Math.max(this.#complete, upTo);
  }

  #backlogDone(): void {
    this.#backlogIsIn = true;
    this.#caughtUpAtPull = this.#pushed;
    if (this.#pushed === 0 || this.#pulls > this.#pushed) this.#markCaughtUp();
  }
}
