// Bytes that came too early: the rest of a head, or requests sent ahead. Grows by doubling, so that slow drips cost little.

export class PendingBytes {
  private bytes = EMPTY;
  size = 0;

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

  /** Valid until the next `append`. */
  peek(): Buffer {
    return this.bytes;
  }

  /** Hands the bytes over. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.size);
    this.bytes = EMPTY;
    this.size = 0;
    return taken;
  }
}

const EMPTY = Buffer.alloc(0);
