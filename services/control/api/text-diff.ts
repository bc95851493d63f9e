// Unified text diffs, by Myers' algorithm over lines.
const CONTEXT = 3;
/** Beyond so many changed lines the exact shortest diff is not worth its time: everything between is replaced. */
const MAX_EDITS = 400;

type Edit = readonly [kind: ' ' | '-' | '+', line: string];

const linesOf = (text: string): string[] => {
  if (text === '') return [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
};

/** Empty when there is no difference but in the last line break. */
export const unifiedDiff = (
  before: { readonly name: string; readonly text: string },
  after: { readonly name: string; readonly text: string },
): string => {
  const edits = editsOf(linesOf(before.text), linesOf(after.text));
  const hunks = hunksOf(edits);
  return hunks.length === 0
    ? ''
    : [`--- ${before.name}`, `+++ ${after.name}`, ...hunks, ''].join('\n');
};

const editsOf = (before: readonly string[], after: readonly string[]): Edit[] => {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start])
    start += 1;
  let tail = 0;
  while (
    tail < before.length - start &&
    tail < after.length - start &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail += 1;
  const same = (line: string): Edit => [' ', line];
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - tail), after.slice(start, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
};

const replaceAll = (before: readonly string[], after: readonly string[]): Edit[] => [
  ...before.map((line): Edit => ['-', line]),
  ...after.map((line): Edit => ['+', line]),
];

/** How far down `before` each diagonal reaches, per number of edits. */
const traceOf = (
  before: readonly string[],
  after: readonly string[],
): Map<number, number>[] | undefined => {
  const most = Math.min(before.length + after.length, MAX_EDITS);
  const reach = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = goesDown(reach, diagonal, edits)
        ? (reach.get(diagonal + 1) ?? 0)
        : (reach.get(diagonal - 1) ?? 0) + 1;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal])
        x += 1;
      reach.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return trace;
    }
  }
  return undefined;
};

const goesDown = (reach: ReadonlyMap<number, number>, diagonal: number, edits: number): boolean =>
  diagonal === -edits ||
  (diagonal !== edits && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));

const middle = (before: readonly string[], after: readonly string[]): Edit[] => {
  const trace = traceOf(before, after);
  if (!trace) return replaceAll(before, after);
  const edits: Edit[] = [];
  let x = before.length;
  let y = after.length;
  for (let round = trace.length - 1; round >= 0; round -= 1) {
    const reach = trace[round] ?? new Map<number, number>();
    const diagonal = x - y;
    const from = goesDown(reach, diagonal, round) ? diagonal + 1 : diagonal - 1;
    const fromX = round === 0 ? 0 : (reach.get(from) ?? 0);
    const fromY = round === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      edits.push([' ', before[x] ?? '']);
    }
    if (x > fromX) {
      x -= 1;
      edits.push(['-', before[x] ?? '']);
    } else if (y > fromY) {
      y -= 1;
      edits.push(['+', after[y] ?? '']);
    }
  }
  return edits.toReversed();
};

const hunksOf = (edits: readonly Edit[]): string[] => {
  const lines: string[] = [];
  let position = 0;
  while (position < edits.length) {
    const first = edits.findIndex(([kind], index) => index >= position && kind !== ' ');
    if (first < 0) break;
    const from = Math.max(position, first - CONTEXT);
    let last = first;
    for (let index = first; index < edits.length && index <= last + 2 * CONTEXT; index += 1)
      if (edits[index]?.[0] !== ' ') last = index;
    const to = Math.min(edits.length, last + CONTEXT + 1);
    lines.push(header(edits, from, to), ...edits.slice(from, to).map((edit) => edit.join('')));
    position = to;
  }
  return lines;
};

const header = (edits: readonly Edit[], from: number, to: number): string => {
  const side = (other: '+' | '-'): string => {
    const before = edits.slice(0, from).filter(([kind]) => kind !== other).length;
    const count = edits.slice(from, to).filter(([kind]) => kind !== other).length;
    return `${count === 0 ? before : before + 1},${count}`;
  };
  return `@@ -${side('+')} +${side('-')} @@`;
};
