// Patterns run on the request path, so one that can take long is refused before anybody serves it.
import { growthOf } from './ambiguity.ts';
import { automatonOf } from './automaton.ts';
import { hasManyWays } from './many-ways.ts';
import { PatternError, parsePattern } from './syntax.ts';

const MAX_PATTERN = 1024;

export interface Objection {
  /** The end of a sentence about the pattern. */
  readonly reason: string;
  readonly hint: string;
}

const slowHint =
  'Repeat one thing at a time, as in `[^/]+` for a segment, and no repeat inside a repeat.';

/** Why the pattern must not be used; undefined if it may. */
export const regexObjection = (pattern: string): Objection | undefined => {
  if (pattern.length > MAX_PATTERN)
    return { reason: `is longer than ${MAX_PATTERN} characters`, hint: 'Write several matches.' };
  try {
    new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : 'unknown reason';
    return { reason: `is invalid: ${reason}`, hint: 'Write a JavaScript regular expression.' };
  }
  try {
    const automaton = automatonOf(parsePattern(pattern));
    const growth = growthOf(automaton);
    if (growth.type === 'linear')
      return hasManyWays(automaton)
        ? { reason: 'can match one text in thousands of ways', hint: slowHint }
        : undefined;
    const [a, b] = growth.places;
    const time = growth.type === 'exponential' ? 'exponential' : 'quadratic';
    const where =
      a === b
        ? `what stands at character ${a + 1} is repeated in more than one way`
        : `characters ${Math.min(a, b) + 1} and ${Math.max(a, b) + 1} compete for the same text`;
    return { reason: `can take ${time} time: ${where}`, hint: slowHint };
  } catch (error) {
    if (error instanceof PatternError)
      return { reason: error.message, hint: 'Write it without, or as several matches.' };
    throw error;
  }
};
