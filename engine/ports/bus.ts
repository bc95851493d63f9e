// Core messaging: lossy, fast, at most once.
import type { Log } from './log.ts';
import type { Store } from './store.ts';

export interface BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Who published it, where the server vouches for it. */
  readonly user?: string;
}

export interface Subscription extends AsyncIterable<BusMessage> {
  /** Ends the iteration. Safe to call twice. */
  close(): void;
}

export interface Bus {
  /** Fire and forget. While disconnected the message may be dropped; never throws for that. */
  publish(subject: string, data: Uint8Array): void;
  /** `*` one token, `>` the rest. Survives reconnects. */
  subscribe(subject: string): Subscription;
  /** Throws ERR_BUS_TIMEOUT, ERR_BUS_NO_RESPONDER, ERR_BUS_DENIED or ERR_BUS_UNREACHABLE. */
  request(subject: string, data: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Replies in a queue group; a handler that throws is answered with its message, as an ErrorAnswer. */
  serve(
    subject: string,
    group: string,
    handler: (message: BusMessage) => Promise<Uint8Array>,
  ): Subscription;
}

/** All that one technology offers; opened once per process. */
export interface Broker {
  readonly bus: Bus;
  /** Opens an existing stream, or creates it where the role may. */
  log(name: string): Promise<Log>;
  store(bucket: string): Promise<Store>;
  readonly connected: boolean;
  /** Every change of `connected`, the present one first. */
  status(): AsyncIterable<{ readonly connected: boolean; readonly server: string }>;
  /** What the server cannot promise: old release, one replica, ... One sentence each. */
  readonly warnings: readonly string[];
  close(): Promise<void>;
}
