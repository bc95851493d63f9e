// Buffer's own Latin-1 codec, which @types/node leaves out: the shortest way between socket bytes and head text.
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
  }
}

/** A body run of at most this many bytes is cheaper to write as a string together with what stands before it. */
export const SHORT_RUN = 16_384;
