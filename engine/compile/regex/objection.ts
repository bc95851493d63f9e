// Patterns run on the request path, so one that can take long is refused before anybody serves it.
import { growthOf } from './ambiguity.ts';
import { automatonOf } from './automaton.ts';
import { hasManyWays } from './many-ways.ts';
import { PatternError, parsePattern } from './syntax.ts';

export const MAX_PATTERN = 1024;

/** Why the pattern must not be used, as the end of a sentence; undefined if it may. */
export const regexObjection = (pattern: string): string | undefined => {
  if (pattern.length > MAX_PATTERN) return `is longer than ${MAX_PATTERN} characters`;
  try {
    new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : 'unknown reason';
    return `is invalid: ${reason}`;
  }
  try {
    const automaton = automatonOf(parsePattern(pattern));
    const growth = growthOf(automaton);
    if (growth.type === 'linear')
      return hasManyWays(automaton) ? 'can match one text in thousands of ways' : undefined;
    const [a, b] = growth.places;
    const where = `characters ${Math.min(a, b) + 1} and ${Math.max(a, b) + 1} of it can match the same text`;
    return growth.type === 'exponential'
      ? `can take exponential time: ${where} in more than one way`
      : `can take quadratic time: repeats at ${where}`;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
};
