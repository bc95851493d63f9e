// Where an issuer's public keys come from. Control asks; agents never do.

import type { IssuerEndpoints } from '../model/snapshot.ts';

/** A JSON Web Key Set as fetched, not yet admitted. */
export interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** What else discovery found. */
  readonly endpoints?: IssuerEndpoints;
}

/** Address of a key set, or an issuer whose key set OpenID Connect discovery finds. */
export type KeyAddress =
  | { readonly type: 'jwks'; readonly uri: string }
  | { readonly type: 'discovery'; readonly issuer: string };

export type KeyNews =
  /** First set, or another one than before: compile again. */
  | { readonly type: 'rotated'; readonly address: KeyAddress }
  | {
      readonly type: 'unreachable';
      readonly address: KeyAddress;
      readonly reason: string;
      readonly ageMs: number;
    }
  | { readonly type: 'recovered'; readonly address: KeyAddress }
  /** Nothing fresh for so long that the last good set is dropped. */
  | { readonly type: 'expired'; readonly address: KeyAddress };

export interface Keys {
  /** The addresses to keep fresh from now on; what is not among them is forgotten. Resolves once each was tried. */
  follow(addresses: readonly KeyAddress[]): Promise<void>;
  /** The last good set, if it is not too old. */
  current(address: KeyAddress): KeySet | undefined;
  /** A token named a key that the set does not have: fetch now, unless that was tried a moment ago. */
  miss(address: KeyAddress): void;
  news(): AsyncIterable<KeyNews>;
  close(): void;
}
