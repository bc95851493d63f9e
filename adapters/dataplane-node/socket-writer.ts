// Gathers heads, framing and short body runs into one string, so that they leave in one system call.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import './latin1.ts';
import { rawWrite } from './raw-write.ts';

/** A run of at most this many bytes is cheaper to write as a string together with what stands before it. */
const SHORT_RUN = 16_384;
/** So many bytes on their way through TLS are too much. */
const TLS_HIGH_WATER = 65_536;

export class SocketWriter {
  private readonly socket: Socket;
  /** Sockets of the pinned runtime are written to without the stream in between. */
  private readonly isRaw = rawWrite !== undefined;
  /** TLS takes one raw write at a time, says only a turn later that it is done, and shares the way with no stream. */
  private readonly isTls: boolean;
  private readonly onDrain: () => void;
  private out = '';
  /** Raw writes that have not left whole yet. */
  private waiting = 0;
  /** `flush` was called while TLS was busy. */
  private isHeld = false;
  private isBehind = false;
  private isEnding = false;

  constructor(socket: Socket, onDrain: () => void) {
    this.socket = socket;
    this.isTls = this.isRaw && socket instanceof TLSSocket;
    this.onDrain = onDrain;
  }

  /** Too much is waiting to leave. */
  get isFull(): boolean {
    return (this.isTls ? this.isBehind : this.waiting > 0) || this.socket.writableNeedDrain;
  }

  /** Everything flushed has left. */
  get isEmpty(): boolean {
    return this.waiting === 0 && this.socket.writableLength === 0;
  }

  write(text: string): void {
    this.out += text;
  }

  /** `bytes[start, end)`, framed as a chunk if `chunked`; copied, so the caller may reuse them. */
  writeRun(bytes: Buffer, start: number, end: number, chunked: boolean): void {
    if (chunked) this.out += `${(end - start).toString(16)}\r\n`;
    if (this.isTls || end - start <= SHORT_RUN) this.out += bytes.latin1Slice(start, end);
    else {
      this.flush();
      this.socket.write(Buffer.from(bytes.subarray(start, end)));
    }
    if (chunked) this.out += '\r\n';
  }

  flush(): void {
    if (this.out === '') return;
    if (this.isTls && this.waiting > 0) {
      this.isHeld = true;
      this.isBehind ||= this.out.length >= TLS_HIGH_WATER;
      return;
    }
    const text = this.out;
    this.out = '';
    const { socket } = this;
    // What the stream holds goes first.
    if (!this.isRaw || rawWrite === undefined || socket.connecting || socket.writableLength > 0) {
      socket.write(text, 'latin1');
      return;
    }
    if (rawWrite(socket, text, this.onLeft) !== 'waits') return;
    this.waiting++;
    if (text.length >= TLS_HIGH_WATER) this.isBehind = true;
  }

  /** After everything written so far. */
  end(): void {
    this.flush();
    if (this.isTls && this.waiting > 0) this.isEnding = true;
    else this.socket.end();
  }

  private readonly onLeft = (): void => {
    this.waiting--;
    if (this.isHeld) {
      this.isHeld = false;
      this.flush();
    }
    if (this.waiting > 0) return;
    const wasFull = !this.isTls || this.isBehind || this.isEnding;
    this.isBehind = false;
    if (this.isEnding) this.socket.end();
    if (wasFull) this.onDrain();
  };
}
