// Which messages have been counted, so that each counts exactly once however late, doubled or reordered it comes.
import type { Sample } from '../model/telemetry.ts';

/** By agent, the incarnations heard last, newest last. Everything up to `low` is done; `seen` lists what came early. */
export type Watermarks = Readonly<Record<string, readonly Mark[]>>;

interface Mark {
  readonly incarnation: string;
  readonly low: number;
  readonly seen: readonly number[];
}

/** A message that is this many behind is given up; losing evidence is harmless, counting it twice is not. */
const reorderWindow = 64;
const incarnationsKept = 8;

/** The new watermarks, or undefined if the message has been counted (or given up) before. */
export const admit = (
  marks: Watermarks,
  { agent, incarnation, sequence }: Pick<Sample, 'agent' | 'incarnation' | 'sequence'>,
): Watermarks | undefined => {
  const known = Object.hasOwn(marks, agent) ? (marks[agent] ?? []) : [];
  const mark = known.find((candidate) => candidate.incarnation === incarnation);
  if (mark && (sequence <= mark.low || mark.seen.includes(sequence))) return undefined;
  const next = mark
    ? advance(mark, sequence)
    : { incarnation, low: sequence - reorderWindow, seen: [sequence] };
  const others = known.filter((candidate) => candidate !== mark).slice(1 - incarnationsKept);
  return { ...marks, [agent]: [...others, next] };
};

const advance = (mark: Mark, sequence: number): Mark => {
  if (mark.seen.length === 0 && sequence === mark.low + 1) return { ...mark, low: sequence };
  const seen = [...mark.seen, sequence].sort((a, b) => a - b);
  let low = Math.max(mark.low, (seen.at(-1) ?? 0) - reorderWindow);
  let done = 0;
  while (done < seen.length && (seen[done] ?? 0) <= low + 1) {
    low = Math.max(low, seen[done] ?? 0);
    done += 1;
  }
  return { incarnation: mark.incarnation, low, seen: seen.slice(done) };
};
