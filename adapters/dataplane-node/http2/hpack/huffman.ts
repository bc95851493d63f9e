// The code of RFC 7541 appendix B, read four bits at a time. It is canonical, so the lengths of its codes say all of it.
import '../../latin1.ts';

/** Bits of the code of each octet, in order, as a digit to the base 36; at last those of the end of a string. */
const LENGTHS = [
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca',
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds',
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn',
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq',
  'u',
].join('');
const END_OF_STRING = 256;
const LONGEST_PADDING = 7;
const NOTHING = -1;
const WRONG = -2;

/** What is left of a code after some of its bits; `symbol` where it is whole. */
interface Branch {
  readonly branches: [Branch | undefined, Branch | undefined];
  symbol: number;
  /** Of the branches that lead on. */
  state: number;
}

const branch = (): Branch => ({ branches: [undefined, undefined], symbol: NOTHING, state: 0 });

const plant = (root: Branch, code: number, length: number, symbol: number): void => {
  let at = root;
  for (let bit = length - 1; bit >= 0; bit--) {
    const side = ((code >>> bit) & 1) as 0 | 1;
    at = at.branches[side] ??= branch();
  }
  at.symbol = symbol;
};

const growTree = (): Branch => {
  const root = branch();
  const symbols = Array.from(LENGTHS, (digit, symbol) => ({ symbol, length: parseInt(digit, 36) }));
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let before = 0;
  for (const { symbol, length } of symbols) {
    code = before === 0 ? 0 : (code + 1) * 2 ** (length - before);
    before = length;
    plant(root, code, length, symbol);
  }
  return root;
};

const root = growTree();
/** Of inner branches, the root first. */
const states: Branch[] = [];

const number = (at: Branch): void => {
  if (at.symbol !== NOTHING) return;
  at.state = states.length;
  states.push(at);
  for (const next of at.branches) if (next) number(next);
};
number(root);

/** By state and four bits. No code is shorter than five bits, so they end one code at most. */
const nextState = new Uint16Array(states.length * 16);
const symbolAt = new Int16Array(states.length * 16);
/** By state: the string may end here. */
const mayEnd = new Uint8Array(states.length);

for (const from of states)
  for (let bits = 0; bits < 16; bits++) {
    let at: Branch | undefined = from;
    let symbol = NOTHING;
    for (let bit = 3; bit >= 0; bit--) {
      at = at?.branches[((bits >>> bit) & 1) as 0 | 1];
      if (at === undefined || at.symbol === NOTHING) continue;
      symbol = at.symbol === END_OF_STRING ? WRONG : at.symbol;
      at = root;
    }
    nextState[from.state * 16 + bits] = at?.state ?? 0;
    symbolAt[from.state * 16 + bits] = at === undefined ? WRONG : symbol;
  }

let padding: Branch | undefined = root;
for (let ones = 0; ones <= LONGEST_PADDING && padding; ones++) {
  mayEnd[padding.state] = 1;
  padding = padding.branches[1];
}

let scratch = Buffer.allocUnsafeSlow(4096);

/** As Latin-1; undefined for what no encoder writes. */
export const huffmanText = (bytes: Buffer, start: number, end: number): string | undefined => {
  const most = Math.ceil(((end - start) * 8) / 5);
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    const high = state * 16 + (byte >> 4);
    const first = symbolAt[high] as number;
    if (first >= 0) scratch[length++] = first;
    const low = (nextState[high] as number) * 16 + (byte & 15);
    const second = symbolAt[low] as number;
    if (second >= 0) scratch[length++] = second;
    if (first === WRONG || second === WRONG) return undefined;
    state = nextState[low] as number;
  }
  return mayEnd[state] === 1 ? scratch.latin1Slice(0, length) : undefined;
};
