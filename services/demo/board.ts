// Lines that stay, and below them one block that is redrawn; without a terminal, lines only.

export interface Board {
  readonly say: (line: string) => void;
  /** Replaces the block. Ignored without a terminal. */
  readonly show: (lines: readonly string[]) => void;
  readonly isTerminal: boolean;
}

export const createBoard = (out: {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}): Board => {
  const isTerminal = out.isTTY === true;
  let block: readonly string[] = [];
  const erase = () => (block.length > 0 ? `\x1b[${block.length}A\x1b[J` : '');
  // A wrapped line would make the block higher than counted.
  // Some terminals say that they have 0 columns.
  const fit = (line: string) => line.slice(0, Math.max(20, (out.columns || 100) - 1));
  const draw = () => block.map((line) => `${line}\n`).join('');
  return {
    isTerminal,
    say(line) {
      out.write(isTerminal ? `${erase()}${line}\n${draw()}` : `${line}\n`);
    },
    show(lines) {
      if (!isTerminal) return;
      const before = erase();
      block = lines.map(fit);
      out.write(before + draw());
    },
  };
};
