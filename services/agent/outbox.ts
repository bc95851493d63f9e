// What the agent has to say, kept for a while when the bus is away. Telemetry is lossy by design: the oldest goes first.
import { gzipSync } from 'node:zlib';
import type { Broker } from '#engine/ports/bus.ts';

export type LetterKind = 'ack' | 'sample';

interface Letter {
  readonly kind: LetterKind;
  readonly subject: string;
  readonly data: Uint8Array;
}

/** So many wait at most; samples are one per second, and much older ones would be of no use to analysis. */
const LIMITS: Readonly<Record<LetterKind, number>> = { ack: 100, sample: 30 };

export class Outbox {
  readonly #onDrop: (kind: LetterKind) => void;
  #waiting: readonly Letter[] = [];
  #broker: Broker | undefined;

  constructor(onDrop: (kind: LetterKind) => void) {
    this.#onDrop = onDrop;
  }

  /** From now on there is somebody to send by. */
  use(broker: Broker): void {
    this.#broker = broker;
    this.flush();
  }

  send(kind: LetterKind, subject: string, value: unknown): void {
    const data = encode(value);
    this.#waiting = [...this.#waiting, { kind, subject, data }];
    this.flush();
    const same = this.#waiting.filter((letter) => letter.kind === kind);
    if (same.length <= LIMITS[kind]) return;
    this.#waiting = this.#waiting.filter((letter) => letter !== same[0]);
    this.#onDrop(kind);
  }

  flush(): void {
    if (!this.#broker?.connected) return;
    const letters = this.#waiting;
    this.#waiting = [];
    for (const { kind, subject, data } of letters)
      try {
        this.#broker.bus.publish(subject, data);
      } catch {
        this.#onDrop(kind); // larger than the bus takes: trying again would not help
      }
  }
}

/** Bytes from which on a message is compressed: its first byte then says so. */
const LARGE = 8192;

const encode = (value: unknown): Uint8Array => {
  const data = new TextEncoder().encode(JSON.stringify(value));
  return data.byteLength < LARGE ? data : gzipSync(data, { level: 1 });
};
