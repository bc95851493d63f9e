// Reads what stands in front of a connection's own bytes, and hands the socket on as if it had never been touched.
import type { Socket } from 'node:net';
import { Deadline, type Deadlines } from '../deadlines.ts';

/** `more`: look again at so many bytes. `done`: the first `used` bytes belong to nobody else. */
export type Reading<T> =
  | { readonly type: 'more'; readonly atLeast: number }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'done'; readonly value: T; readonly used: number };

export interface PreambleOptions<T> {
  readonly deadlines: Deadlines;
  readonly timeoutMs: number;
  /** `bytes` is everything so far. */
  readonly read: (bytes: Buffer) => Reading<T>;
  /** The socket is paused again, and may be adopted or wrapped. Not called when the socket had to be closed. */
  readonly onDone: (value: T) => void;
}

const FIRST_SIZE = 2048;

/** `socket` is accepted and paused. */
export const readPreamble = <T>(socket: Socket, options: PreambleOptions<T>): void => {
  new Preamble(socket, options).start();
};

class Preamble<T> extends Deadline {
  private readonly socket: Socket;
  private readonly options: PreambleOptions<T>;
  private bytes = Buffer.allocUnsafe(FIRST_SIZE);
  private length = 0;
  private wanted = 1;

  constructor(socket: Socket, options: PreambleOptions<T>) {
    super();
    this.socket = socket;
    this.options = options;
  }

  start(): void {
    const { deadlines, timeoutMs } = this.options;
    this.socket.on('data', this.onData);
    this.socket.on('end', this.onGone);
    this.socket.on('close', this.onGone);
    if (timeoutMs > 0) deadlines.arm(this, deadlines.now + timeoutMs);
    this.socket.resume();
  }

  onDue(): void {
    this.refuse();
  }

  private readonly onGone = (): void => this.refuse();

  private readonly onData = (chunk: Buffer): void => {
    this.keep(chunk);
    if (this.length < this.wanted) return;
    const reading = this.options.read(this.bytes.subarray(0, this.length));
    if (reading.type === 'more') this.wanted = reading.atLeast;
    else if (reading.type === 'refused') this.refuse();
    else this.handOn(reading.value, reading.used);
  };

  private keep(chunk: Buffer): void {
    const length = this.length + chunk.length;
    if (length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    chunk.copy(this.bytes, this.length);
    this.length = length;
  }

  private handOn(value: T, used: number): void {
    this.leave();
    this.socket.pause();
    if (used < this.length) this.socket.unshift(this.bytes.subarray(used, this.length));
    this.options.onDone(value);
  }

  private refuse(): void {
    this.leave();
    this.socket.destroy();
  }

  private leave(): void {
    this.options.deadlines.disarm(this);
    this.socket.off('data', this.onData);
    this.socket.off('end', this.onGone);
    this.socket.off('close', this.onGone);
  }
}
