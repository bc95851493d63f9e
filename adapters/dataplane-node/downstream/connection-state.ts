// What a caller's connection is doing. In order: nothing is answered from Closing on.
export const State = {
  Head: 0,
  /** A request body is being read for the exchange. */
  Body: 1,
  /** The request has been read; bytes of the next one wait. */
  Busy: 2,
  /** The answer is out, the rest of the request body means nothing any more. */
  Discard: 3,
  Raw: 4,
  Closing: 5,
  Closed: 6,
} as const;
