// What an agent can serve from when bus and control are away: the sealed messages that made up its state, byte for byte
// as received, so that their signatures are checked again when they are read back.

export interface SavedState {
  /** In the order in which they are to be folded. */
  readonly messages: readonly Uint8Array[];
  /** What to tell people which one it is: a file's name. */
  readonly name: string;
}

export interface LastGoodStore {
  /**
   * The state saved last, then the one before it. What is there but cannot be understood is put aside, with one sentence
   * to `problem`.
   */
  load(problem: (sentence: string) => void): Promise<readonly SavedState[]>;
  /**
   * All or nothing, and safe from a crash of the process once it resolves. Fast, so that it can come before the state is
   * put in force. Calls are made one after the other.
   */
  save(messages: readonly Uint8Array[]): Promise<void>;
  /** Safe from a crash of the machine, too. */
  flush(): Promise<void>;
  /** It was refused (forged, altered, not to be enforced): never loaded again, kept for whoever looks into it. */
  putAside(state: SavedState): Promise<void>;
}
