// A small key-value bucket. CAS on a replicated bucket of an old server is broken (docs/adr), so what must not be lost
// uses `create` of immutable keys.

export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Grows with every write to the bucket, whatever the key. */
  readonly revision: number;
}

export interface Store {
  get(key: string): Promise<StoreEntry | undefined>;
  /** All live keys with values. */
  entries(): Promise<readonly StoreEntry[]>;
  put(key: string, value: Uint8Array): Promise<number>;
  /** Only if the key does not exist, else ERR_STORE_CONFLICT. Exactly one caller wins. */
  create(key: string, value: Uint8Array): Promise<number>;
  delete(key: string): Promise<void>;
}
