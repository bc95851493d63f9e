// Bytes that came too early: the rest of a head, or requests sent ahead. Grows by doubling, so that slow drips cost little.
import type { HeadLimits } from '../http1/request-head.ts';
import { incompleteFault } from './incomplete-head.ts';

export class PendingBytes {
  private bytes = EMPTY;
  size = 0;
  /** So far there is known to be no end of a head. */
  private scanned = 0;

  get isEmpty(): boolean {
    return this.size === 0;
  }

  append(bytes: Buffer, start: number, end: number): void {
    const needed = this.size + end - start;
    if (needed > this.bytes.length) {
      const wider = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2, 1024));
      this.bytes.copy(wider, 0, 0, this.size);
      this.bytes = wider;
    }
    bytes.copy(this.bytes, this.size, start, end);
    this.size = needed;
  }

  /** Whether there is a whole head, or one that has to be refused already. Looks at new bytes only. */
  holdsHead(limits: HeadLimits): boolean {
    const from = Math.max(0, this.scanned - 3);
    this.scanned = this.size;
    const bytes = this.bytes.subarray(0, this.size);
    return (
      bytes.includes('\r\n\r\n', from, 'latin1') ||
      incompleteFault(bytes, { start: 0, end: this.size, known: from }, limits) !== undefined
    );
  }

  /** All of them; they stay. */
  get view(): Buffer {
    return this.bytes.subarray(0, this.size);
  }

  /** Hands the bytes over. */
  take(): Buffer {
    const taken = this.view;
    this.bytes = EMPTY;
    this.size = this.scanned = 0;
    return taken;
  }
}

const EMPTY = Buffer.alloc(0);
