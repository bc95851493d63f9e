// What a rule can be found by. Whatever matches a rule has one of the values of each of its handles, so filing the rule
// under one handle is enough.
import type { AuthorizationRule, AuthorizationSource } from '../../model/snapshot.ts';
import { type Fact, factOf, patternsOf, testOf, withoutScheme } from './facts.ts';
import { isExact, isTemplate, stringTest } from './strings.ts';

export type Handle =
  | {
      readonly by: 'exact' | 'stringPrefix';
      readonly values: readonly string[];
      readonly fact?: undefined;
    }
  | { readonly by: string; readonly values: readonly string[]; readonly fact: Fact };

export const pathHandles = (paths: readonly string[] | undefined): readonly Handle[] => {
  if (paths === undefined) return [];
  if (paths.every((path) => isExact(path) && !isTemplate(path)))
    return [{ by: 'exact', values: paths }];
  const values = paths.map(prefixOf);
  return values.includes('') ? [] : [{ by: 'stringPrefix', values }];
};

/** What every path that the pattern covers begins with. */
const prefixOf = (pattern: string): string => {
  if (isTemplate(pattern)) return pattern.slice(0, pattern.indexOf('{'));
  if (pattern.startsWith('*')) return '';
  return pattern.endsWith('*') ? pattern.slice(0, -1) : pattern;
};

/** By who calls and by conditions on facts, where they are spelt out. */
export const handlesOf = ({ from, when }: AuthorizationRule): readonly Handle[] => [
  ...sourceHandles(from, ({ requestPrincipals }) => requestPrincipals, 'request.auth.principal'),
  ...sourceHandles(from, ({ principals }) => principals?.map(withoutScheme), 'source.principal'),
  ...(when ?? []).flatMap(({ key, values }) => factHandle(key, values && patternsOf(key, values))),
];

/** Only if every source names somebody: a source that does not would match anybody. */
const sourceHandles = (
  from: AuthorizationRule['from'],
  namesOf: (source: AuthorizationSource) => readonly string[] | undefined,
  key: string,
): readonly Handle[] => {
  const names = from?.map(namesOf) ?? [undefined];
  return names.includes(undefined)
    ? []
    : factHandle(
        key,
        names.flatMap((each) => each ?? []),
      );
};

const factHandle = (key: string, values: readonly string[] | undefined): readonly Handle[] => {
  const fact = factOf(key);
  if (fact === undefined || !values?.every(isExact)) return [];
  if (testOf(key) !== stringTest && values.some((value) => value.includes('*'))) return [];
  return [{ by: key, values, fact }];
};
