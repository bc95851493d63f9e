// Bytes that come piece by piece and are wanted together. Grows by doubling, so that slow drips cost little.

export class GatheredBytes {
  size = 0;
  private bytes = EMPTY;

  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** All of them; they stay. */
  get view(): Buffer {
    return this.bytes.subarray(0, this.size);
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

  /** Hands the bytes over. */
  take(): Buffer {
    const taken = this.view;
    this.bytes = EMPTY;
    this.size = 0;
    return taken;
  }
}

const EMPTY = Buffer.alloc(0);
