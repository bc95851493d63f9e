// Issuers whose tokens name keys that this agent does not have. Agents ask no issuer; they tell control, at once the first
// time and then once a second at most, however many such tokens come.
import type { Clock } from '#engine/ports/clock.ts';

const MAX_ISSUERS = 16;
/** After a report further ones wait for the next heartbeat. */
const PAUSE_MS = 1000;

export class UnknownKeys {
  readonly #clock: Clock;
  readonly #issuers = new Set<string>();
  #tell: () => void = () => {};
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `tell` is to send a heartbeat now. */
  listen(tell: () => void): void {
    this.#tell = tell;
  }

  note(issuer: string): void {
    if (this.#issuers.has(issuer) || this.#issuers.size >= MAX_ISSUERS) return;
    this.#issuers.add(issuer);
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#toldMs < PAUSE_MS) return;
    this.#toldMs = nowMs;
    this.#tell();
  }

  /** What has not been told yet. */
  take(): readonly string[] {
    if (this.#issuers.size === 0) return none;
    const issuers = [...this.#issuers];
    this.#issuers.clear();
    return issuers;
  }
}

const none: readonly string[] = [];
