// A response body held back for a filter that needs all of it; let go when it grows too large.
import { keptBytes } from '../shared-buffer.ts';

export class ResponseBody {
  private readonly maxBytes: number;
  private runs: Buffer[] = [];
  size = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** False once there is more than may be held. */
  add(bytes: Buffer, start: number, end: number): boolean {
    this.size += end - start;
    this.runs.push(keptBytes(bytes, start, end));
    return this.size <= this.maxBytes;
  }

  take(): Buffer {
    const whole = this.runs.length === 1 ? (this.runs[0] as Buffer) : Buffer.concat(this.runs);
    this.runs = [];
    return whole;
  }
}
