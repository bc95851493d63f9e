// Credentials that were checked already. Two generations: what is used moves to the young one, and when that is full the
// old one goes. Bounded by bytes, and no look-up costs more than two Map reads.
import type { Identity } from './identity.ts';

/** What was found out about a credential, and until when it holds. */
interface Finding {
  readonly expiresMs: number;
}

export class TokenCache<T extends Finding = Identity> {
  readonly #bytesPerGeneration: number;
  readonly #weigh: (credential: string, found: T) => number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  #youngBytes = 0;

  constructor(maxBytes = 8 * 2 ** 20, weigh: (credential: string, found: T) => number = usual) {
    this.#bytesPerGeneration = maxBytes / 2;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(credential: string, nowMs: number): T | undefined {
    const found = this.#young.get(credential) ?? this.#promote(credential);
    if (found === undefined || nowMs < found.expiresMs) return found;
    this.#young.delete(credential);
    return undefined;
  }

  set(credential: string, found: T): void {
    if (this.#youngBytes > this.#bytesPerGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(detached(credential), found);
    this.#youngBytes += this.#weigh(credential, found);
  }

  #promote(credential: string): T | undefined {
    const found = this.#old.get(credential);
    if (found === undefined) return undefined;
    this.#old.delete(credential);
    this.set(credential, found);
    return found;
  }
}

/** The credential, the claims that came out of it, and what the objects weigh by themselves. */
const usual = (credential: string): number => credential.length * 4 + 1024;

/** A slice of a string keeps the whole alive, here the head of a request. A new string, cut anew, keeps only itself. */
const detached = (text: string): string => ` ${text}`.slice(1);
