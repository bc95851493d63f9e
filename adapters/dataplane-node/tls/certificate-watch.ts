// Notices certificate files that were renewed in place.
import { stat } from 'node:fs/promises';
import type { Listener } from '#engine/model/snapshot.ts';
import { filesOf } from './certificates.ts';

const EVERY_MS = 2000;

export class CertificateWatch {
  private readonly onChange: () => void;
  private files: readonly string[] = [];
  private seen = '';
  private timer: NodeJS.Timeout | undefined;

  constructor(onChange: () => void) {
    this.onChange = onChange;
  }

  watch(listeners: readonly Listener[]): void {
    this.files = listeners.flatMap((each) => (each.tls ? filesOf(each.tls) : []));
    this.seen = '';
    clearInterval(this.timer);
    this.timer = undefined;
    if (this.files.length === 0) return;
    this.timer = setInterval(() => void this.look(), EVERY_MS);
    this.timer.unref();
    void this.look();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const states = await Promise.all(
      this.files.map((file) =>
        stat(file).then(
          (facts) => `${facts.ino}:${facts.mtimeMs}:${facts.size}`,
          () => 'missing',
        ),
      ),
    );
    const now = states.join();
    const hasChanged = this.seen !== '' && now !== this.seen && !now.includes('missing');
    this.seen = now;
    if (hasChanged) this.onChange();
  }
}
