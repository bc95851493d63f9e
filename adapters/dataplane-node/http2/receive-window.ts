// What the other side may still send, on one stream or on all of them (RFC 9113 5.2).

export class ReceiveWindow {
  private readonly size: number;
  private left: number;
  /** Received and dealt with, but not given back yet. */
  private owed = 0;

  constructor(size: number) {
    this.size = size;
    this.left = size;
  }

  /** False: more came than was allowed. */
  take(length: number): boolean {
    this.left -= length;
    return this.left >= 0;
  }

  /** What to announce now: 0 as long as it is not worth a frame. */
  giveBack(length: number): number {
    this.owed += length;
    if (this.owed < this.size / 2) return 0;
    const increment = this.owed;
    this.left += increment;
    this.owed = 0;
    return increment;
  }
}
