// Bytes that came too early: the rest of a head, or requests sent ahead.
import { GatheredBytes } from '../gathered-bytes.ts';
import type { HeadLimits } from '../http1/request-head.ts';
import { incompleteFault } from './incomplete-head.ts';

export class PendingBytes extends GatheredBytes {
  /** So far there is known to be no end of a head. */
  private scanned = 0;

  /** Whether there is a whole head, or one that has to be refused already. Looks at new bytes only. */
  holdsHead(limits: HeadLimits): boolean {
    const from = Math.max(0, this.scanned - 3);
    this.scanned = this.size;
    const bytes = this.view;
    return (
      bytes.includes('\r\n\r\n', from, 'latin1') ||
      incompleteFault(bytes, { start: 0, end: this.size, known: from }, limits) !== undefined
    );
  }

  override take(): Buffer {
    this.scanned = 0;
    return super.take();
  }
}
