// Credentials that were checked already. Two generations: what is used moves to the young one, and when that is full the
// old one goes. Bounded by bytes, and no look-up costs more than two Map reads.
import type { Identity } from './identity.ts';

export class TokenCache {
  readonly #bytesPerGeneration: number;
  #young = new Map<string, Identity>();
  #old = new Map<string, Identity>();
  #youngBytes = 0;

  constructor(maxBytes = 8 * 2 ** 20) {
    this.#bytesPerGeneration = maxBytes / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string, nowMs: number): Identity | undefined {
    let identity = this.#young.get(key);
    if (identity === undefined) {
      identity = this.#old.get(key);
      if (identity === undefined) return undefined;
      this.#old.delete(key);
      if (nowMs < identity.expiresMs) this.set(key, identity);
    }
    if (nowMs < identity.expiresMs) return identity;
    this.#young.delete(key);
    return undefined;
  }

  set(key: string, identity: Identity): void {
    if (this.#youngBytes > this.#bytesPerGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, identity);
    // The key, the claims that came out of it, and what the objects weigh by themselves.
    this.#youngBytes += key.length * 4 + 1024;
  }
}
