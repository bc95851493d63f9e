// Gathers heads, framing and short body runs into one string, so that they leave in one system call.
import type { Socket } from 'node:net';
import './latin1.ts';
import { rawWrite } from './raw-write.ts';

/** A run of at most this many bytes is cheaper to write as a string together with what stands before it. */
const SHORT_RUN = 16_384;

export class SocketWriter {
  private readonly socket: Socket;
  /** Plain TCP sockets of the pinned runtime are written to without the stream in between. */
  private readonly isRaw: boolean;
  private readonly onDrain: () => void;
  private out = '';
  /** Raw writes that the kernel has not taken whole yet. */
  private waiting = 0;

  constructor(
    socket: Socket,
    options: { readonly isPlain: boolean; readonly onDrain: () => void },
  ) {
    this.socket = socket;
    this.isRaw = options.isPlain && rawWrite !== undefined;
    this.onDrain = options.onDrain;
  }

  /** Too much is waiting to leave. */
  get isFull(): boolean {
    return this.waiting > 0 || this.socket.writableNeedDrain;
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
    if (end - start <= SHORT_RUN) this.out += bytes.latin1Slice(start, end);
    else {
      this.flush();
      this.socket.write(Buffer.from(bytes.subarray(start, end)));
    }
    if (chunked) this.out += '\r\n';
  }

  flush(): void {
    if (this.out === '') return;
    const text = this.out;
    this.out = '';
    const { socket } = this;
    // What the stream holds goes first.
    if (!this.isRaw || rawWrite === undefined || socket.connecting || socket.writableLength > 0) {
      socket.write(text, 'latin1');
      return;
    }
    const result = rawWrite(socket, text, () => {
      this.waiting--;
      if (this.waiting === 0) this.onDrain();
    });
    if (result === 'waits') this.waiting++;
  }
}
