// Istio's strings: `abc`, `abc*`, `*abc`, and `*` for anything that is there. One star, at one end; any other is a letter.

export type StringTest = (value: string) => boolean;

export const stringTest = (pattern: string): StringTest => {
  if (pattern === '*') return (value) => value !== '';
  if (pattern.startsWith('*')) {
    const suffix = pattern.slice(1);
    return (value) => value.endsWith(suffix);
  }
  if (pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return (value) => value.startsWith(prefix);
  }
  return (value) => value === pattern;
};

export const isExact = (pattern: string): boolean =>
  !pattern.startsWith('*') && !pattern.endsWith('*');

/** An empty list matches nothing. */
export const anyOf = (
  patterns: readonly string[],
  testOf: (pattern: string) => StringTest = stringTest,
): StringTest => {
  if (testOf === stringTest && patterns.length > 1 && patterns.every(isExact)) {
    const values = new Set(patterns);
    return (value) => values.has(value);
  }
  const tests = patterns.map(testOf);
  const [only] = tests;
  if (tests.length === 1 && only) return only;
  return (value) => {
    for (const test of tests) if (test(value)) return true;
    return false;
  };
};

/** `*` anywhere, as in namespaces. */
export const wildcardTest = (pattern: string): StringTest => {
  const regex = new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's');
  return (value) => regex.test(value);
};

/** A path pattern: a string as above, or a template where `{*}` is one segment and `{**}` any number. */
export const pathPatternTest = (pattern: string): StringTest => {
  if (!isTemplate(pattern)) return stringTest(pattern);
  const source = pattern
    .split(/(\{\*\*\}|\{\*\})/)
    .map((part) => (part === '{**}' ? '.*' : part === '{*}' ? '[^/]+' : escaped(part)))
    .join('');
  const regex = new RegExp(`^${source}$`, 's');
  return (value) => regex.test(value);
};

export const isTemplate = (pattern: string): boolean => pattern.includes('{');

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
