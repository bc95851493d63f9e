// How often which rule of which policy refused somebody, since it was last asked.
import type { Denial } from '#engine/model/telemetry.ts';

/** Policies and their rules are the operator's, so there are seldom more; the rest is counted together. */
const MAX_ENTRIES = 64;
const OTHERS = 'others';
/** Control refuses what is longer. */
const MAX_LENGTH = 500;

export class DenialCounts {
  #counts = new Map<string, { policy: string; rule: string; requests: number }>();

  add(words: string, rule = ''): void {
    const policy = words.slice(0, MAX_LENGTH);
    const known = this.#counts.get(`${policy} ${rule}`);
    if (known) known.requests += 1;
    else if (this.#counts.size < MAX_ENTRIES - 1 || policy === OTHERS)
      this.#counts.set(`${policy} ${rule}`, { policy, rule, requests: 1 });
    else this.add(OTHERS);
  }

  take(): readonly Denial[] {
    if (this.#counts.size === 0) return [];
    const taken = [...this.#counts.values()];
    this.#counts = new Map();
    return taken;
  }
}
