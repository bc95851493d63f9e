// What one simulated rollout came to.
export interface Run {
  /** undecided: handed to a human, or not over within the deadline. */
  readonly outcome: 'promoted' | 'rolledBack' | 'undecided';
  /** Requests that the new version answered until its end. */
  readonly exposed: number;
  /** Of these, how many failed. */
  readonly failed: number;
  /** From its first traffic to the decision in force. */
  readonly seconds: number;
}
