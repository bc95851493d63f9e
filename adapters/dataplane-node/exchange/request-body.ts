// What has been read of a request body while it waits for a connection, or in case it has to be sent again.
import { GatheredBytes } from '../gathered-bytes.ts';

/** More is not kept: the request can then no longer be repeated. */
export const MAX_KEPT_BYTES = 65_536;

export class RequestBody {
  /** In one piece: callers may send it byte by byte, and each would cost as much as a hundred. */
  private readonly kept = new GatheredBytes();
  /** All that was read is still here. */
  isWhole = true;

  get size(): number {
    return this.kept.size;
  }

  /** Everything so far, while `isWhole`. */
  get bytes(): Buffer {
    return this.kept.view;
  }

  keep(bytes: Buffer, start: number, end: number): void {
    this.kept.append(bytes, start, end);
  }

  forget(): void {
    this.isWhole = false;
    this.kept.take();
  }
}
