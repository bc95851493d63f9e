// An ordered, durable stream of messages. `WEIR_POLICY`, `WEIR_CONTROL` and `WEIR_EVENTS` are logs.

export interface LogEntry {
  readonly subject: string;
  /** Position in the stream; grows, may have gaps. Starts again at 1 with a stream that was deleted and made anew. */
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly atMs: number;
}

export interface LogReader extends AsyncIterable<LogEntry> {
  /**
   * Resolves when everything that was stored at the time of opening has been dealt with: handed out, and the next one
   * asked for. A reader that opens on an empty filter is caught up at once; a closed one counts as caught up.
   */
  readonly caughtUp: Promise<void>;
  /** Read again if the stream is ahead of what this reader has seen: a watch can die in silence. */
  verify(lastSequence: number): void;
  close(): void;
}

export interface Log {
  /**
   * Resolves once stored, with the sequence. `expectLast` is the last sequence on the same subject (0: none yet); another writer in
   * between means ERR_LOG_CONFLICT and nothing stored. What has the `id` of an entry of the last two minutes is stored no second
   * time, whoever writes it: the sequence of the first is the answer. Only entries that fit into one message have ids.
   */
  append(entry: {
    readonly subject: string;
    readonly data: Uint8Array;
    readonly expectLast?: number;
    readonly id?: string;
  }): Promise<number>;
  /** `all`: from the first entry. `last`: the last entry per subject. `new`: only what comes. A number: from that sequence on. Then follows for ever. */
  read(filter: string, from: 'all' | 'last' | 'new' | number): LogReader;
  /** The last entry on an exact subject. */
  last(subject: string): Promise<LogEntry | undefined>;
  lastSequence(): Promise<number>;
  /** Removes entries on the subject below the sequence (checkpoints bound replay). */
  trim(subject: string, below: number): Promise<void>;
}
