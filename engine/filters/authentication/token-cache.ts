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

  get(credential: string, nowMs: number): Identity | undefined {
    const identity = this.#young.get(credential) ?? this.#promote(credential);
    if (identity === undefined || nowMs < identity.expiresMs) return identity;
    this.#young.delete(credential);
    return undefined;
  }

  set(credential: string, identity: Identity): void {
    if (this.#youngBytes > this.#bytesPerGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(detached(credential), identity);
    // The credential, the claims that came out of it, and what the objects weigh by themselves.
    this.#youngBytes += credential.length * 4 + 1024;
  }

  #promote(credential: string): Identity | undefined {
    const identity = this.#old.get(credential);
    if (identity === undefined) return undefined;
    this.#old.delete(credential);
    this.set(credential, identity);
    return identity;
  }
}

/** A slice of a string keeps the whole alive, here the head of a request. A new string, cut anew, keeps only itself. */
const detached = (text: string): string => ` ${text}`.slice(1);
