/** Time and chance as arguments. */
export interface Clock {
  /** Milliseconds since 1970. May jump. */
  now(): number;
  /** Milliseconds that only grow. */
  monotonic(): number;
}

/** Uniform in [0, 1). */
export type Random = () => number;
