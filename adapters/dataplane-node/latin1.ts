// Buffer's own Latin-1 codec, which @types/node leaves out: the shortest way between socket bytes and head text.
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
  }
}

export {};
