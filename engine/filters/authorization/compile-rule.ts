// One authorization rule as a test of an exchange. What cannot be read never lets anybody in: it makes an ALLOW rule match
// nothing and is left out of a DENY rule, which then denies more.
import type {
  AuthorizationOperation,
  AuthorizationPlan,
  AuthorizationRule,
  AuthorizationSource,
} from '../../model/snapshot.ts';
import { type Address, parseAddress, parseBlock } from '../addresses.ts';
import { expressionTest, type RuleContext } from './cel.ts';
import {
  addressOf,
  factOf,
  headerOf,
  patternsOf,
  peerNamespace,
  peerPrincipal,
  testOf,
  withoutScheme,
} from './facts.ts';
import type { Judged } from './judged.ts';
import { anyOf, pathPatternTest, type StringTest, stringTest, wildcardTest } from './strings.ts';

export type Test = (exchange: Judged) => boolean;
type Action = AuthorizationPlan['action'];
type Lists = readonly [values: readonly string[] | undefined, not: readonly string[] | undefined];

export interface CompiledRule {
  /** Source and conditions. */
  readonly caller: Test;
  /** One per operation; undefined where the rule is about every operation. */
  readonly operations: readonly Test[] | undefined;
}

export const compileRule = (rule: AuthorizationRule, context: RuleContext): CompiledRule => {
  const { action } = context;
  const from = rule.from?.map((source) => sourceTest(source, action));
  const when = (rule.when ?? []).map((each) => conditionTest(each, action));
  // Last, since it costs more than all others together.
  if (rule.cel !== undefined) when.push(expressionTest(rule.cel, context));
  const caller = allOf(from === undefined ? when : [someOf(from), ...when]);
  return { caller, operations: rule.to?.map(operationTest) };
};

export const matchesRule = ({ caller, operations }: CompiledRule, exchange: Judged) =>
  (operations === undefined || operations.some((test) => test(exchange))) && caller(exchange);

const unreadable = (action: Action): Test => (action === 'ALLOW' ? () => false : () => true);

const allOf = (tests: readonly Test[]): Test => {
  const [first, second] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  return (exchange) => {
    for (const test of tests) if (!test(exchange)) return false;
    return true;
  };
};

const someOf = (tests: readonly Test[]): Test => {
  const [only] = tests;
  if (tests.length === 1 && only) return only;
  return (exchange) => {
    for (const test of tests) if (test(exchange)) return true;
    return false;
  };
};

const sourceTest = (source: AuthorizationSource, action: Action): Test =>
  allOf([
    ...valueTests(
      [source.principals?.map(withoutScheme), source.notPrincipals?.map(withoutScheme)],
      peerPrincipal,
    ),
    ...valueTests(
      [source.requestPrincipals, source.notRequestPrincipals],
      ({ principal }) => principal,
    ),
    ...valueTests([source.namespaces, source.notNamespaces], peerNamespace, wildcardTest),
    ...blockTests(
      [source.ipBlocks, source.notIpBlocks],
      ({ request }) => request.peerAddress,
      action,
    ),
    ...blockTests(
      [source.remoteIpBlocks, source.notRemoteIpBlocks],
      ({ request }) => request.clientAddress,
      action,
    ),
  ]);

const operationTest = (operation: AuthorizationOperation): Test =>
  allOf([
    ...valueTests([operation.methods, operation.notMethods], ({ request }) => request.method),
    ...valueTests(
      [operation.paths, operation.notPaths],
      ({ request }) => request.path,
      pathPatternTest,
    ),
    ...hostTests([operation.hosts, operation.notHosts]),
    ...valueTests([operation.ports, operation.notPorts], ({ request }) =>
      String(request.localPort),
    ),
  ]);

/** Absent lists test nothing; a missing value is in no list. */
const valueTests = (
  [values, not]: Lists,
  find: (exchange: Judged) => string | undefined,
  testOf: (pattern: string) => StringTest = stringTest,
): readonly Test[] => {
  const tests: Test[] = [];
  if (values !== undefined) tests.push(among(anyOf(values, testOf), find));
  if (not !== undefined) {
    const isAmong = among(anyOf(not, testOf), find);
    tests.push((exchange) => !isAmong(exchange));
  }
  return tests;
};

const among =
  (test: StringTest, find: (exchange: Judged) => string | undefined): Test =>
  (exchange) => {
    const value = find(exchange);
    return value !== undefined && test(value);
  };

/** With and without the port that the caller dialled: otherwise `Host: admin:80` would slip through. */
const hostTests = ([values, not]: Lists): readonly Test[] => {
  const covers = (patterns: readonly string[]): Test => {
    const test = anyOf(patterns.map((pattern) => pattern.toLowerCase()));
    return ({ request }) => test(request.host) || test(request.authority.toLowerCase());
  };
  const tests: Test[] = values === undefined ? [] : [covers(values)];
  if (not !== undefined) {
    const isCovered = covers(not);
    tests.push((exchange) => !isCovered(exchange));
  }
  return tests;
};

const blockTests = (
  [values, not]: Lists,
  find: (exchange: Judged) => string,
  action: Action,
): readonly Test[] => {
  const tests: Test[] = values === undefined ? [] : [blockTest(values, find, action)];
  if (not !== undefined) {
    const parsed = not.map(parseBlock);
    const isInside = inBlocks(parsed, find);
    tests.push(parsed.includes(undefined) ? unreadable(action) : (exchange) => !isInside(exchange));
  }
  return tests;
};

const blockTest = (
  values: readonly string[],
  find: (exchange: Judged) => string,
  action: Action,
): Test => {
  const parsed = values.map(parseBlock);
  return parsed.includes(undefined) ? unreadable(action) : inBlocks(parsed, find);
};

const inBlocks = (
  blocks: readonly (((address: Address) => boolean) | undefined)[],
  find: (exchange: Judged) => string,
): Test => {
  return (exchange) => {
    const address = parseAddress(find(exchange));
    if (address === undefined) return false;
    for (const covers of blocks) if (covers?.(address)) return true;
    return false;
  };
};

type Condition = NonNullable<AuthorizationRule['when']>[number];

const conditionTest = ({ key, values, notValues }: Condition, action: Action): Test => {
  const address = addressOf(key);
  if (address) return allOf(blockTests([values, notValues], address, action));
  const header = headerOf(key);
  if (header !== undefined) return headerTest(header, [values, notValues], action);
  const fact = factOf(key);
  if (fact === undefined) return unreadable(action);
  const isValue = values && anyOf(patternsOf(key, values), testOf(key));
  const isNot = notValues && anyOf(patternsOf(key, notValues), testOf(key));
  return (exchange) => {
    const facts = fact(exchange);
    if (isValue !== undefined && !facts.some(isValue)) return false;
    return isNot === undefined || !facts.some(isNot);
  };
};

/**
 * A header may come in several lines. ALLOW wants every line to be right, DENY is content with one wrong line: a second
 * copy never opens a door.
 */
const headerTest = (name: string, [values, not]: Lists, action: Action): Test => {
  const isValue = values && anyOf(values);
  const isNot = not && anyOf(not);
  const isStrict = action === 'ALLOW';
  return ({ request }) => {
    const lines = request.header(name) === undefined ? [] : request.headers(name);
    if (isValue !== undefined && !(lines.length > 0 && matchLines(lines, isValue, isStrict)))
      return false;
    return isNot === undefined || lines.length === 0 || !matchLines(lines, isNot, !isStrict);
  };
};

const matchLines = (lines: readonly string[], test: StringTest, every: boolean): boolean => {
  const [only] = lines;
  if (lines.length === 1 && only !== undefined) return test(only);
  return every ? lines.every(test) : lines.some(test) || test(lines.join(','));
};
