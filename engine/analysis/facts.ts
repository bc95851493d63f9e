// What judging needs beside the evidence.
export interface JudgeFacts {
  readonly nowMs: number;
  /** Percent of traffic the new version has. */
  readonly weight: number;
  /** From 1; 0 while the new version has no traffic yet. */
  readonly step: number;
  readonly stepStartedMs: number;
  /** When the new version got its first traffic, moved on by what an operator granted. */
  readonly startedMs: number;
}

/** Telemetry silent for this long, by control's clock, is no telemetry. */
export const staleAfterMs = 5000;
/** Rollback evidence above this is no proof, but nobody gains traffic on it. */
export const suspicionAt = 10;
