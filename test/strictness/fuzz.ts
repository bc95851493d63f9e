// Seeded mutation of texts, one byte a character: a failing input is shrunk and shown with what repeats it.
// `WEIR_FUZZ=5000000` is the number of inputs per target, with another seed each time; `WEIR_FUZZ_SEED=7` fixes that one, too.

/** Numbers from one seed (xorshift32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    // Neighbouring seeds are spread, and zero would stay zero.
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    this.below(2);
  }

  below(limit: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

export interface FuzzTarget {
  readonly inputs: number;
  /** What mutation starts from. */
  readonly bases: readonly string[];
  /** What is put in. */
  readonly pieces: readonly string[];
  /** What is wrong with how the text was treated; undefined if nothing. Must do the same for the same arguments. */
  readonly check: (text: string, random: Random) => string | undefined;
}

const { WEIR_FUZZ, WEIR_FUZZ_SEED } = process.env;
const wanted = WEIR_FUZZ === undefined ? undefined : Number(WEIR_FUZZ);
const firstSeed = Number(
  WEIR_FUZZ_SEED ?? (wanted === undefined ? 1 : (process.hrtime()[1] ^ process.pid) >>> 1),
);

/** No parser may think longer about one input, whatever it is. */
const MAX_MS = 10;

const mutate = (base: string, pieces: readonly string[], random: Random): string => {
  let text = base;
  // One in eight stays as it is.
  for (let count = random.below(8) === 0 ? 0 : 1 + random.below(3); count > 0; count--) {
    const at = random.below(text.length + 1);
    const length = 1 + random.below(6);
    const before = text.slice(0, at);
    switch (random.below(5)) {
      case 0:
        text = before + text.slice(at + length);
        break;
      case 1:
        text = before + text.slice(at, at + length * 4) + text.slice(at);
        break;
      case 2:
        text = before + String.fromCharCode(random.below(256)) + text.slice(at + 1);
        break;
      case 3:
        text = before + random.pick(pieces) + text.slice(at + length);
        break;
      default:
        text = before + random.pick(pieces) + text.slice(at);
    }
  }
  return text;
};

const run = ({ check }: FuzzTarget, text: string, seed: number): string | undefined => {
  try {
    return check(text, new Random(seed));
  } catch (error) {
    return `throws ${error instanceof Error ? error.stack : String(error)}`;
  }
};

/** By processor time, as a busy machine makes everything late; three times in a row, as garbage is collected now and then. */
const isSlow = (target: FuzzTarget, text: string, seed: number): boolean => {
  for (let i = 0; i < 3; i++) {
    const start = process.threadCpuUsage();
    run(target, text, seed);
    const { user, system } = process.threadCpuUsage(start);
    if (user + system < MAX_MS * 1000) return false;
  }
  return true;
};

const shrink = (target: FuzzTarget, failing: string, seed: number): string => {
  let text = failing;
  for (let size = text.length >> 1; size > 0; size >>= 1)
    for (let at = 0; at + size <= text.length; ) {
      const shorter = text.slice(0, at) + text.slice(at + size);
      if (run(target, shorter, seed) === undefined) at += size;
      else text = shorter;
    }
  return text;
};

/** Throws with the smallest failing input that it can find; returns how many inputs there were. */
export const fuzz = (target: FuzzTarget): number => {
  const inputs = wanted ?? target.inputs;
  let start = performance.now();
  for (let i = 0; i < inputs; i++) {
    const seed = (firstSeed + i) | 0;
    const random = new Random(seed);
    const text = mutate(random.pick(target.bases), target.pieces, random);
    let problem = run(target, text, seed);
    const end = performance.now();
    if (end - start > MAX_MS && isSlow(target, text, seed))
      problem ??= `took more than ${MAX_MS} ms`;
    start = end;
    if (problem === undefined) continue;
    const least = shrink(target, text, seed);
    throw new Error(
      `${JSON.stringify(least)}: ${run(target, least, seed) ?? problem}\nrepeat with WEIR_FUZZ=1 WEIR_FUZZ_SEED=${seed}`,
    );
  }
  return inputs;
};

/** `text` in up to five parts. */
export const cut = (text: string, random: Random): readonly string[] => {
  const places = Array.from({ length: random.below(5) }, () => random.below(text.length + 1));
  places.sort((a, b) => a - b);
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length));
};
