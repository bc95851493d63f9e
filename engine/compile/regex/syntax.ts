// Parses the part of JavaScript's pattern syntax that can be judged: no look-around, no back-references.

/** Bits 0 to 255 are those characters; bit 256 stands for every other one. */
export type CharSet = bigint;

export type Node =
  | { readonly type: 'empty' }
  | { readonly type: 'chars'; readonly set: CharSet; readonly at: number }
  | { readonly type: 'sequence'; readonly parts: readonly Node[] }
  | { readonly type: 'choice'; readonly parts: readonly Node[] }
  | { readonly type: 'repeat'; readonly body: Node; readonly min: number; readonly max: number };

export class PatternError extends Error {}

const BITS = 257n;
export const allChars: CharSet = (1n << BITS) - 1n;
const single = (code: number): CharSet => 1n << BigInt(Math.min(code, 256));
const range = (from: number, to: number): CharSet => {
  const low = BigInt(Math.min(from, 256));
  const high = BigInt(Math.min(to, 256));
  return low > high ? 0n : ((1n << (high - low + 1n)) - 1n) << low;
};
const codes = (text: string): CharSet =>
  text.split('').reduce((set, char) => set | single(char.charCodeAt(0)), 0n);

const digits = range(48, 57);
const words = digits | range(65, 90) | range(97, 122) | single(95);
// Beyond 255 there are spaces too, and they share a bit with everything else there.
const spaces = codes('\t\n\v\f\r \u00a0') | single(256);
const lineEnds = codes('\n\r');

const classes: Readonly<Record<string, CharSet>> = {
  d: digits,
  D: allChars & ~digits,
  w: words,
  W: allChars & ~words,
  s: spaces,
  S: (allChars & ~spaces) | single(256),
};
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

/** Line ends never come in a path or a header, so `.` is taken for every character. */
export const anyChar: CharSet = allChars & ~lineEnds;

/** The pattern has been accepted by RegExp already. */
export const parsePattern = (pattern: string): Node => new Parser(pattern).parse();

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    return this.#choice();
  }

  #peek(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at += found[0].length;
    return found;
  }

  #choice(): Node {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? (parts[0] ?? { type: 'empty' }) : { type: 'choice', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !this.#peek('|') && !this.#peek(')'))
      parts.push(this.#repeated(this.#atom()));
    return { type: 'sequence', parts };
  }

  #repeated(body: Node): Node {
    const found = this.#match(/(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y);
    if (!found) return body;
    const [, sign, from, comma, to] = found;
    if (sign !== undefined)
      return {
        type: 'repeat',
        body,
        min: sign === '+' ? 1 : 0,
        max: sign === '?' ? 1 : Number.POSITIVE_INFINITY,
      };
    const min = Number(from);
    if (comma === undefined) return { type: 'repeat', body, min, max: min };
    return { type: 'repeat', body, min, max: to ? Number(to) : Number.POSITIVE_INFINITY };
  }

  #atom(): Node {
    const at = this.#at;
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) return { type: 'chars', set: this.#class(), at };
    if (this.#take('^') || this.#take('$')) return { type: 'empty' };
    if (this.#take('.')) return { type: 'chars', set: anyChar, at };
    if (this.#take('\\')) return this.#escape(at);
    this.#at += 1;
    return { type: 'chars', set: single(this.#text.charCodeAt(at)), at };
  }

  #group(): Node {
    if (this.#match(/\?<?[=!]/y)) throw new PatternError('looks ahead or behind');
    if (!this.#match(/\?:|\?<[^>]*>/y) && this.#peek('?'))
      throw new PatternError('has a group of an unknown kind');
    const node = this.#choice();
    this.#take(')');
    return node;
  }

  #escape(at: number): Node {
    if (this.#match(/[bB]/y)) return { type: 'empty' };
    if (this.#match(/[1-9]|k</y)) throw new PatternError('refers back to a group');
    return { type: 'chars', set: this.#escapedChars(), at };
  }

  /** After the backslash. */
  #escapedChars(): CharSet {
    const code = this.#match(/x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|c([A-Za-z])/y);
    if (code) {
      const [, byte, unit, control] = code;
      if (control !== undefined) return single(control.charCodeAt(0) % 32);
      return single(Number.parseInt(byte ?? unit ?? '0', 16));
    }
    const char = this.#text.charAt(this.#at);
    this.#at += 1;
    const named = classes[char];
    if (named !== undefined) return named;
    return single(controls[char] ?? char.charCodeAt(0));
  }

  #class(): CharSet {
    const isNegated = this.#take('^');
    let set = 0n;
    while (this.#at < this.#text.length && !this.#take(']')) {
      const low = this.#classMember();
      const isRange = this.#peek('-') && this.#text.charAt(this.#at + 1) !== ']';
      if (!isRange || low.code === undefined) {
        set |= low.set;
        continue;
      }
      this.#at += 1;
      const high = this.#classMember();
      set |= high.code === undefined ? low.set | high.set | single(45) : range(low.code, high.code);
    }
    // A character beyond 255 that is listed shares its bit with all others there, which are not.
    return isNegated ? (allChars & ~set) | single(256) : set;
  }

  #classMember(): { readonly set: CharSet; readonly code?: number } {
    if (!this.#take('\\')) {
      const code = this.#text.charCodeAt(this.#at);
      this.#at += 1;
      return { set: single(code), code };
    }
    if (this.#take('b')) return { set: single(8), code: 8 };
    const isClass = /[dDwWsS]/.test(this.#text.charAt(this.#at));
    const from = this.#at;
    const set = this.#escapedChars();
    return isClass ? { set } : { set, code: codeOf(set, this.#text.slice(from, this.#at)) };
  }
}

const codeOf = (set: CharSet, text: string): number => {
  const hex = /^[xu]([0-9a-fA-F]+)$/.exec(text)?.[1];
  if (hex !== undefined) return Number.parseInt(hex, 16);
  return set.toString(2).length - 1;
};
