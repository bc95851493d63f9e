// Goes through an expression before it is used: what it looks up, and what it can cost at worst. Only what is known to be
// harmless gets through.
import type { ASTNode } from '@marcbachmann/cel-js';

export interface Lookups {
  /** Names of headers, in lower case, and of query parameters: they are only looked up by name. */
  readonly headers: readonly string[];
  readonly query: readonly string[];
  /** Patterns of `matches`, with their places. */
  readonly patterns: readonly { readonly pattern: string; readonly at: number }[];
  /** It asks who the peer is. */
  readonly usesPeer: boolean;
}

export class ExpressionProblem extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** In units of about 50 ns; a list that a caller brings counts as MAX_ITEMS, and longer ones are refused when met. */
const MAX_COST = 100_000;
export const MAX_ITEMS = 1000;

const loops = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

const costs: ReadonlyMap<string, number> = new Map([
  ...['has', 'size', 'dyn', 'type', 'bool', 'int', 'uint', 'double', 'string'].map(cheap),
  ...['startsWith', 'endsWith', 'contains', 'indexOf', 'lastIndexOf', 'substring'].map(cheap),
  ...['trim', 'lowerAscii', 'upperAscii'].map(cheap),
  ...['timestamp', 'duration', 'getFullYear', 'getMonth', 'getDate', 'getDayOfMonth'].map(costly),
  ...['getDayOfWeek', 'getDayOfYear', 'getHours', 'getMinutes', 'getSeconds'].map(costly),
  ...['getMilliseconds', 'matches'].map(costly),
]);

function cheap(name: string): [string, number] {
  return [name, 3];
}

/** Patterns run over whole headers; moments in a time zone ask a table. */
function costly(name: string): [string, number] {
  return [name, 50];
}

/** By another name or as a whole they would escape the rules for their members. */
const roots: ReadonlyMap<string, string> = new Map([
  ['request', 'method'],
  ['source', 'address'],
  ['remote', 'address'],
  ['destination', 'port'],
  ['connection', 'sni'],
  ['auth', 'principal'],
]);

interface Found {
  readonly headers: Set<string>;
  readonly query: Set<string>;
  readonly patterns: { pattern: string; at: number }[];
  usesPeer: boolean;
}

export const survey = (root: ASTNode): Lookups => {
  const found: Found = { headers: new Set(), query: new Set(), patterns: [], usesPeer: false };
  const cost = costOf(root, found);
  if (cost > MAX_COST)
    throw new ExpressionProblem(
      `may cost ${Math.round(cost / MAX_COST)} times what is allowed: it goes through lists within lists`,
      root.start,
    );
  return { ...found, headers: [...found.headers], query: [...found.query] };
};

const costOf = (node: ASTNode, found: Found): number => {
  if (lookUp(node, found)) return 3;
  if (node.op === 'value') return 1;
  if (node.op === 'id') return variableCost(node);
  if (node.op === '.') return memberCost(node, found);
  if (node.op === 'call') return callCost(node, node.args[0], node.args[1], found);
  if (node.op === 'rcall') return methodCost(node, found);
  if (node.op === '!_' || node.op === '-_') return 1 + costOf(node.args, found);
  if (node.op === 'map') return sum(node.args.flat(), found);
  if (node.op === '.?' || node.op === '[?]')
    throw new ExpressionProblem('optional access is not offered', node.start);
  return (comparisons.has(node.op) ? comparisonCost(node.args) : 0) + sum(node.args, found);
};

const comparisons: ReadonlySet<string> = new Set(['==', '!=', 'in']);

const variableCost = (node: ASTNode & { op: 'id' }): number => {
  const member = roots.get(node.args);
  if (member === undefined) return 1;
  throw new ExpressionProblem(
    `${node.args} is only used with a member, as in ${node.args}.${member}`,
    node.start,
  );
};

const sum = (nodes: readonly ASTNode[], found: Found): number =>
  nodes.reduce((cost, node) => cost + costOf(node, found), 1);

/** Two lists of a caller's may be compared element by element. */
const comparisonCost = (sides: readonly ASTNode[]): number =>
  sides.some(({ op }) => op === 'value') ? 1 : 20;

const memberCost = (node: ASTNode & { op: '.' }, found: Found): number => {
  const [object, name] = node.args;
  if (object.op === 'id' && object.args === 'source' && name !== 'address') found.usesPeer = true;
  if (mapOf(node))
    throw new ExpressionProblem(
      `request.${name} is only looked up by a name in quotes, as in request.${name}["x-name"] or "x-name" in request.${name}`,
      node.start,
    );
  return object.op === 'id' ? 2 : 1 + costOf(object, found);
};

const callCost = (node: ASTNode, name: string, args: readonly ASTNode[], found: Found): number => {
  const cost = costs.get(name);
  if (cost === undefined) throw new ExpressionProblem(`there is no ${name}()`, node.start);
  return cost + sum(args, found);
};

const methodCost = (node: ASTNode & { op: 'rcall' }, found: Found): number => {
  const [name, receiver, args] = node.args;
  if (name === 'matches') {
    collectPattern(args[0], node, found);
    return callCost(node, name, [receiver], found);
  }
  if (!loops.has(name)) return callCost(node, name, [receiver, ...args], found);
  const items = receiver.op === 'list' ? receiver.args.length : MAX_ITEMS;
  return costOf(receiver, found) + items * sum(args.slice(1), found);
};

/** Only a pattern that is known beforehand can be judged. */
const collectPattern = (pattern: ASTNode | undefined, node: ASTNode, found: Found): void => {
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string')
    throw new ExpressionProblem('matches takes a pattern in quotes', pattern?.start ?? node.start);
  found.patterns.push({ pattern: pattern.args, at: pattern.start });
};

/** `request.headers["x"]`, `"x" in request.headers`, `request.headers.x` */
const lookUp = (node: ASTNode, found: Found): boolean => {
  const [map, name] = keyed(node);
  const which = map && mapOf(map);
  if (which === undefined || name === undefined) return false;
  if (which === 'headers' && name !== name.toLowerCase())
    throw new ExpressionProblem(
      `names of headers are in lower case here: "${name.toLowerCase()}"`,
      node.start,
    );
  found[which].add(name);
  return true;
};

const keyed = (node: ASTNode): readonly [map?: ASTNode | undefined, name?: string | undefined] => {
  if (node.op === '.') return [node.args[0], node.args[1]];
  if (node.op === '[]') return [node.args[0], textOf(node.args[1])];
  return node.op === 'in' ? [node.args[1], textOf(node.args[0])] : [];
};

const textOf = (node: ASTNode): string | undefined =>
  node.op === 'value' && typeof node.args === 'string' ? node.args : undefined;

const mapOf = (node: ASTNode): 'headers' | 'query' | undefined => {
  if (node.op !== '.') return undefined;
  const [object, name] = node.args;
  if (object.op !== 'id' || object.args !== 'request') return undefined;
  return name === 'headers' || name === 'query' ? name : undefined;
};
