// Header fields as offsets over one string: parsed once, looked up lazily, never copied into objects.
import { ALIAS, HASH_SEED, hashName, sameAlias, sameName, TOKEN } from './ascii.ts';
import { Kind, knownName } from './field-names.ts';

/** Ints per field: name hash, kind, name start, name end, value start, value end, whether received in canonical form. */
const WIDTH = 7;

const CR = 13;
const LF = 10;
const COLON = 58;

/** Why a field section is refused. */
export type FieldFault = 'malformed' | 'too-many' | 'alias';

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** Where the CR LF of a field value stands; -1 for a bare CR, LF, NUL or any other control character. */
const endOfValue = (text: string, start: number): number => {
  let at = start;
  let code = text.charCodeAt(at);
  while (code >= 32 ? code !== 127 : code === 9) code = text.charCodeAt(++at);
  return code === CR && text.charCodeAt(at + 1) === LF ? at : -1;
};

/** Offsets of sections that are read no more: a stream of HTTP/2 has up to four heads, and typed arrays are dear to make. */
const spare: Int32Array[] = [];
const MAX_SPARE = 512;
const FIRST_LENGTH = 24 * WIDTH;

export class FieldSection {
  text = '';
  count = 0;
  private readonly refusesAliases: boolean;
  private offsets: Int32Array;
  private nameHash = 0;

  constructor(options: { readonly refusesAliases: boolean }) {
    this.refusesAliases = options.refusesAliases;
    this.offsets = spare.pop() ?? new Int32Array(FIRST_LENGTH);
  }

  /** Empty for whoever still looks, and parses no more. */
  release(): void {
    const { offsets } = this;
    this.count = 0;
    this.text = '';
    this.offsets = released;
    if (offsets.length === FIRST_LENGTH && spare.length < MAX_SPARE) spare.push(offsets);
  }

  /**
   * Reads field lines from `position` to the empty line. No obs-fold, no bare CR or LF, no space before the colon, no control
   * character and, where asked, no known name in a disguise of `_` or `.`.
   */
  parse(text: string, position: number, maxFields: number): FieldFault | undefined {
    this.text = text;
    this.count = 0;
    let at = position;
    while (text.charCodeAt(at) !== CR) {
      if (this.count === maxFields) return 'too-many';
      const nameStart = at;
      at = this.scanName(at);
      if (at === nameStart || text.charCodeAt(at) !== COLON) return 'malformed';
      const kind = this.classify(nameStart, at);
      if (kind < 0) return 'alias';
      const end = endOfValue(text, at + 1);
      if (end < 0) return 'malformed';
      this.store(kind, nameStart, at, end);
      at = end + 2;
    }
    return text.charCodeAt(at + 1) === LF ? undefined : 'malformed';
  }

  kind(index: number): number {
    return this.offsets[index * WIDTH + 1] as number;
  }

  /** Lower case. */
  name(index: number): string {
    const at = index * WIDTH;
    return this.text
      .slice(this.offsets[at + 2] as number, this.offsets[at + 3] as number)
      .toLowerCase();
  }

  value(index: number): string {
    const at = index * WIDTH;
    return this.text.slice(this.offsets[at + 4] as number, this.offsets[at + 5] as number);
  }

  /** First value; `name` in lower case. */
  first(name: string): string | undefined {
    const index = this.find(name, 0);
    return index < 0 ? undefined : this.value(index);
  }

  all(name: string): readonly string[] {
    let index = this.find(name, 0);
    if (index < 0) return NONE;
    const values: string[] = [];
    for (; index >= 0; index = this.find(name, index + 1)) values.push(this.value(index));
    return values;
  }

  /** Index of the next field of that name; -1 if there is none. */
  find(name: string, from: number): number {
    const hash = hashName(name);
    const offsets = this.offsets;
    for (let i = from; i < this.count; i++) {
      const at = i * WIDTH;
      if (
        offsets[at] === hash &&
        offsets[at + 1] !== Kind.Struck &&
        sameName(this.text, offsets[at + 2] as number, offsets[at + 3] as number, name)
      )
        return i;
    }
    return -1;
  }

  /** Whether the field is called `name`, in any spelling. */
  isNamed(index: number, name: string, hash: number): boolean {
    const at = index * WIDTH;
    const offsets = this.offsets;
    return (
      offsets[at] === hash &&
      sameAlias(this.text, offsets[at + 2] as number, offsets[at + 3] as number, name)
    );
  }

  hash(index: number): number {
    return this.offsets[index * WIDTH] as number;
  }

  /** Whether the field is called `name`, which is in lower case. */
  isExactly(index: number, name: string): boolean {
    const at = index * WIDTH;
    return sameName(
      this.text,
      this.offsets[at + 2] as number,
      this.offsets[at + 3] as number,
      name,
    );
  }

  /** As if it had never been sent. */
  strike(index: number): void {
    this.offsets[index * WIDTH] = NO_HASH;
    this.offsets[index * WIDTH + 1] = Kind.Struck;
  }

  /** Serialised anew: `name: value CR LF`. */
  line(index: number): string {
    const at = index * WIDTH;
    const offsets = this.offsets;
    const nameStart = offsets[at + 2] as number;
    const valueEnd = offsets[at + 5] as number;
    // What was received is, byte for byte, what serialising it would give.
    if (offsets[at + 6] === 1) return this.text.slice(nameStart, valueEnd + 2);
    const name = this.text.slice(nameStart, offsets[at + 3]);
    return `${name}: ${this.text.slice(offsets[at + 4], valueEnd)}\r\n`;
  }

  isCanonical(index: number): boolean {
    return this.offsets[index * WIDTH + 6] === 1;
  }

  /** Fields `from` to `to`, all canonical and next to each other in the text. */
  run(from: number, to: number): string {
    return this.text.slice(
      this.offsets[from * WIDTH + 2],
      (this.offsets[(to - 1) * WIDTH + 5] as number) + 2,
    );
  }

  private scanName(start: number): number {
    const text = this.text;
    let at = start;
    let hash = HASH_SEED;
    let code = text.charCodeAt(at);
    while (TOKEN[code]) {
      hash = Math.imul(hash ^ (ALIAS[code] as number), 0x01000193);
      code = text.charCodeAt(++at);
    }
    this.nameHash = hash;
    return at;
  }

  private classify(start: number, end: number): number {
    const known = knownName(this.nameHash);
    if (known === undefined) return Kind.Other;
    if (sameName(this.text, start, end, known.name)) return known.kind;
    return this.refusesAliases && sameAlias(this.text, start, end, known.name) ? -1 : Kind.Other;
  }

  private store(kind: number, nameStart: number, nameEnd: number, lineEnd: number): void {
    const text = this.text;
    const at = this.count++ * WIDTH;
    if (at === this.offsets.length) this.widen();
    let valueStart = nameEnd + 1;
    let valueEnd = lineEnd;
    while (valueStart < valueEnd && isBlank(text.charCodeAt(valueStart))) valueStart++;
    while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
    const offsets = this.offsets;
    offsets[at] = this.nameHash;
    offsets[at + 1] = kind;
    offsets[at + 2] = nameStart;
    offsets[at + 3] = nameEnd;
    offsets[at + 4] = valueStart;
    offsets[at + 5] = valueEnd;
    offsets[at + 6] =
      valueStart === nameEnd + 2 && text.charCodeAt(nameEnd + 1) === 32 && valueEnd === lineEnd
        ? 1
        : 0;
  }

  private widen(): void {
    const wider = new Int32Array(Math.max(this.offsets.length * 2, FIRST_LENGTH));
    wider.set(this.offsets);
    this.offsets = wider;
  }
}

const NONE: readonly string[] = [];
const released = new Int32Array(0);
/** Of no name that anybody looks for; a chance hit is settled by the name. */
const NO_HASH = 0;
