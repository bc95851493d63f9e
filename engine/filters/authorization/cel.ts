// A condition in the Common Expression Language as a test of an exchange. Compile has checked it; an evaluation that fails
// (a header that is not there, a claim of another type) never lets anybody in.
import {
  AuthFacts,
  ConnectionFacts,
  DestinationFacts,
  type Expression,
  type ExpressionFacts,
  isExpression,
  parseExpression,
  RemoteFacts,
  RequestFacts,
  SourceFacts,
} from '../../model/expression.ts';
import { MAX_ITEMS } from '../../model/expression-survey.ts';
import type { AuthorizationPlan } from '../../model/snapshot.ts';
import { combinedHeader, queryValues } from '../request-parts.ts';
import { peerNamespace, peerPrincipal } from './facts.ts';
import type { Judged } from './judged.ts';

export interface RuleContext {
  readonly action: AuthorizationPlan['action'];
  readonly nowMs: () => number;
  /** `Authorization/bibby/readers rule 0` */
  readonly name: string;
}

export const expressionTest = (
  source: string,
  { action, nowMs, name }: RuleContext,
): ((exchange: Judged) => boolean) => {
  const unanswered = action !== 'ALLOW';
  const expression = parseExpression(source);
  if (!isExpression(expression)) return () => unanswered;
  return (exchange) => {
    const answer = hasModestClaims(exchange)
      ? expression.evaluate(factsOf(exchange, expression, nowMs))
      : `a claim has more than ${MAX_ITEMS} members`;
    if (typeof answer === 'boolean') return answer;
    exchange.notes ??= {};
    exchange.notes['expression'] ??= `${name}: ${answer}`;
    return unanswered;
  };
};

const factsOf = (
  exchange: Judged,
  expression: Expression,
  nowMs: () => number,
): ExpressionFacts => {
  const { request: view } = exchange;
  const request = new RequestFacts();
  request.method = view.method;
  request.path = view.path;
  request.host = view.host;
  request.scheme = view.scheme;
  request.timeMs = nowMs();
  if (expression.headers.length > 0)
    request.headers = named(expression.headers, (name) => combinedHeader(view, name));
  if (expression.query.length > 0)
    request.query = named(expression.query, (name) => parameter(view.query, name));
  const source = new SourceFacts();
  source.address = view.peerAddress;
  if (expression.usesPeer) {
    source.principal = peerPrincipal(exchange) ?? '';
    source.namespace = peerNamespace(exchange) ?? '';
  }
  const remote = new RemoteFacts();
  remote.address = view.clientAddress;
  const destination = new DestinationFacts();
  destination.address = view.localAddress ?? '';
  destination.port = BigInt(view.localPort);
  const connection = new ConnectionFacts();
  connection.sni = view.serverName ?? '';
  return { request, source, remote, destination, connection, auth: authOf(exchange) };
};

const authOf = ({ principal, consumer, groups, claims }: Judged): AuthFacts => {
  const auth = new AuthFacts();
  auth.principal = principal ?? '';
  auth.consumer = consumer ?? '';
  auth.groups = groups;
  if (claims !== undefined) auth.claims = claims;
  return auth;
};

const named = (
  names: readonly string[],
  find: (name: string) => string | undefined,
): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const name of names) {
    const value = find(name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
};

const parameter = (query: string, name: string): string | undefined => {
  const values = queryValues(query, name);
  return values.length === 0 ? undefined : values.join(',');
};

/** The cost of an expression was worked out for lists of this size. Claims of a known token are looked at once. */
const hasModestClaims = ({ claims, groups }: Judged): boolean => {
  if (groups.length > MAX_ITEMS) return false;
  if (claims === undefined) return true;
  const known = modest.get(claims);
  if (known !== undefined) return known;
  const found = isModest(claims);
  modest.set(claims, found);
  return found;
};

const modest = new WeakMap<object, boolean>();

const isModest = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return true;
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return members.length <= MAX_ITEMS && members.every(isModest);
};
