// Gathers heads, framing and short body runs into one string, so that they leave in one system call.
import type { Socket } from 'node:net';
import './latin1.ts';

/** A run of at most this many bytes is cheaper to write as a string together with what stands before it. */
const SHORT_RUN = 16_384;

export class SocketWriter {
  private readonly socket: Socket;
  private out = '';

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Too much is waiting to leave. */
  get isFull(): boolean {
    return this.socket.writableNeedDrain;
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
    this.socket.write(text, 'latin1');
  }
}
