// Where in the policy a part of a snapshot comes from.
/** Where a document said it; `explain` and diagnostics show it. */
export interface Origin {
  readonly resource: string;
  readonly file?: string;
  readonly line?: number;
}
