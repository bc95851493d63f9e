// What has been read of a request body while it waits for a connection, or in case it has to be sent again.
import { keptBytes } from '../shared-buffer.ts';

/** More is not kept: the request can then no longer be repeated. */
export const MAX_KEPT_BYTES = 65_536;

export class RequestBody {
  /** Everything so far, while `isWhole`. */
  readonly runs: Buffer[] = [];
  size = 0;
  /** All that was read is still here. */
  isWhole = true;

  keep(bytes: Buffer, start: number, end: number): void {
    this.size += end - start;
    this.runs.push(keptBytes(bytes, start, end));
  }

  forget(): void {
    this.isWhole = false;
    this.runs.length = 0;
    this.size = 0;
  }
}
