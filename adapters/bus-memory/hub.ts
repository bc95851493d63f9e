// The world that in-process brokers share: who listens, which streams and buckets there are.
import { matchesSubject } from '#engine/model/subjects.ts';
import type { BusMessage } from '#engine/ports/bus.ts';
import { MemoryStream } from './stream.ts';

export interface Listener {
  readonly subject: string;
  /** Absent for a plain subscription. */
  readonly group?: string;
  readonly isUp: () => boolean;
  readonly deliver: (message: BusMessage) => void;
  readonly answer?: (message: BusMessage) => Promise<Uint8Array>;
}

export interface HubOptions {
  /** Milliseconds since 1970. Default: the system's clock. */
  readonly now?: () => number;
  /** Bytes of one core message. Default 8 MiB, as Weir's own NATS configuration. */
  readonly maxPayload?: number;
}

/** One stored value of a bucket. */
export interface Cell {
  readonly value: Uint8Array;
  readonly revision: number;
}

export class Bucket {
  readonly cells = new Map<string, Cell>();
  revision = 0;
}

export class MemoryHub {
  readonly now: () => number;
  readonly maxPayload: number;
  readonly listeners = new Set<Listener>();
  readonly #streams = new Map<string, MemoryStream>();
  readonly #buckets = new Map<string, Bucket>();
  #turn = 0;

  constructor(options: HubOptions = {}) {
    this.now = options.now ?? Date.now;
    this.maxPayload = options.maxPayload ?? 8 * 1024 * 1024;
  }

  stream(name: string): MemoryStream {
    let stream = this.#streams.get(name);
    if (!stream) {
      stream = new MemoryStream(name);
      this.#streams.set(name, stream);
    }
    return stream;
  }

  bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      bucket = new Bucket();
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  /** Plain subscriptions all get it; of each queue group one does, in turn. */
  route(message: BusMessage): Listener[] {
    const chosen: Listener[] = [];
    const groups = new Map<string, Listener[]>();
    for (const listener of this.listeners) {
      if (!listener.isUp() || !matchesSubject(listener.subject, message.subject)) continue;
      if (listener.group === undefined) {
        chosen.push(listener);
        continue;
      }
      const members = groups.get(listener.group) ?? [];
      members.push(listener);
      groups.set(listener.group, members);
    }
    this.#turn += 1;
    for (const members of groups.values()) {
      const member = members[this.#turn % members.length];
      if (member) chosen.push(member);
    }
    return chosen;
  }
}
