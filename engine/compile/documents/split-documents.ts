// Cuts a file into its YAML documents before any of them is parsed, so that one broken document harms no other.

export interface Piece {
  /** From 1: the line of the file at which `text` starts. */
  readonly line: number;
  readonly text: string;
}

/** The first character that is neither space nor comment; -1 if there is none. */
const firstMark = (text: string): number => {
  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? '';
    if (char === '#') {
      const newline = text.indexOf('\n', at);
      if (newline === -1) return -1;
      at = newline + 1;
    } else if (/[\s\ufeff]/.test(char)) at += 1;
    else return at;
  }
  return -1;
};

/**
 * YAML allows `---` and `...` at the start of a line nowhere but between documents, not even inside a block scalar, so
 * looking at lines is exact. What follows `---` on the same line belongs to the document.
 */
export const splitDocuments = (text: string): readonly Piece[] => {
  const pieces: Piece[] = [];
  let start = 0;
  let startLine = 1;
  let line = 1;
  const cut = (markerAt: number, next: number, nextLine: number): void => {
    const piece = text.slice(start, markerAt);
    // Directives (`%YAML 1.2`) stand before the `---` of the document that they are about.
    const mark = firstMark(piece);
    if (piece[mark] === '%' && !piece.includes('\n---') && text.startsWith('---', markerAt)) return;
    if (mark !== -1) pieces.push({ line: startLine, text: piece });
    start = next;
    startLine = nextLine;
  };
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline + 1;
    const marker = text.slice(at, at + 3);
    if ((marker === '---' || marker === '...') && /^\s?$/.test(text.charAt(at + 3))) {
      const rest = text.slice(at + 3, end);
      // A marker alone on its line is left out; otherwise the document starts on the marker's line.
      const alone = marker === '...' || /^\s*(#|$)/.test(rest);
      cut(at, alone ? end : at, alone ? line + 1 : line);
    }
    at = end;
    line += 1;
  }
  cut(text.length, text.length, line);
  return pieces;
};
