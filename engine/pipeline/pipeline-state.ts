// What outlives a snapshot: counters and caches, each under a key that says what it belongs to.

export interface PipelineState {
  /** Asks for a piece and thereby keeps it alive until the next sweep. */
  keep<T>(key: string, make: () => T): T;
  /** Drops what nobody has asked for since the last sweep. */
  sweep(): void;
}

export const createPipelineState = (): PipelineState => {
  let kept = new Map<string, unknown>();
  let asked = new Map<string, unknown>();
  return {
    keep<T>(key: string, make: () => T): T {
      const piece = asked.has(key) ? asked.get(key) : kept.has(key) ? kept.get(key) : make();
      asked.set(key, piece);
      return piece as T;
    },
    sweep() {
      kept = asked;
      asked = new Map();
    },
  };
};
