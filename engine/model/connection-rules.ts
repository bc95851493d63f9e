// What an authorization policy says of connections whose bytes nobody reads, as in Istio: an ALLOW rule that asks for something
// of a request lets no connection in; any other rule is judged without those parts, so it may match more.
import type {
  AuthorizationOperation,
  AuthorizationPlan,
  AuthorizationRule,
  AuthorizationSource,
} from './access-plans.ts';

const ofSources: ReadonlySet<string> = new Set<keyof AuthorizationSource>([
  'requestPrincipals',
  'notRequestPrincipals',
]);
const ofOperations: ReadonlySet<string> = new Set<keyof AuthorizationOperation>([
  'hosts',
  'notHosts',
  'methods',
  'notMethods',
  'paths',
  'notPaths',
]);
const isOfRequests = ({ key }: { readonly key: string }): boolean => key.startsWith('request.');

/** The parts of a rule that only a request could meet, by name and in alphabetical order. */
export const requestParts = ({ from, to, when, cel }: AuthorizationRule): readonly string[] => {
  const names = [
    ...(from ?? []).flatMap((source) => Object.keys(source).filter((name) => ofSources.has(name))),
    ...(to ?? []).flatMap((each) => Object.keys(each).filter((name) => ofOperations.has(name))),
    ...(when ?? []).filter(isOfRequests).map(({ key }) => key),
    ...(cel === undefined ? [] : ['cel']),
  ];
  return [...new Set(names)].sort();
};

export const forConnections = (plan: AuthorizationPlan): AuthorizationPlan => ({
  ...plan,
  rules: plan.rules.map((rule) =>
    plan.action === 'ALLOW' && requestParts(rule).length > 0 ? nothing : withoutRequests(rule),
  ),
});

/** Keeps its place, since rules are known by it. */
const nothing: AuthorizationRule = { from: [] };

const withoutRequests = ({ from, to, when }: AuthorizationRule): AuthorizationRule => ({
  ...(from && { from: from.map((source) => without(source, ofSources)) }),
  ...(to && { to: to.map((operation) => without(operation, ofOperations)) }),
  ...(when && { when: when.filter((condition) => !isOfRequests(condition)) }),
});

const without = <T extends object>(lists: T, names: ReadonlySet<string>): T =>
  Object.fromEntries(Object.entries(lists).filter(([name]) => !names.has(name))) as T;
