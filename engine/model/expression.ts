// Conditions in the Common Expression Language: which facts they may ask for, and what each may cost. Compile checks an
// expression with the code that data planes run it with.
import { type ASTNode, Environment, type TypeCheckResult } from '@marcbachmann/cel-js';
import { ExpressionProblem, type Lookups, survey } from './expression-survey.ts';

/** Absent texts are empty; headers and query parameters that are absent are no keys. */
export interface ExpressionFacts {
  readonly request: RequestFacts;
  readonly source: SourceFacts;
  readonly remote: RemoteFacts;
  readonly destination: DestinationFacts;
  readonly connection: ConnectionFacts;
  readonly auth: AuthFacts;
}

/** What it is about, in the words of the documentation. */
export const expressionVariables = {
  'request.method': 'Method.',
  'request.path': 'Canonical path, without the query.',
  'request.host': 'Host in lower case, without port.',
  'request.scheme': '`http` or `https`.',
  'request.headers':
    'Request headers by name in lower case; several lines of one name are joined with `,`.',
  'request.query': 'Query parameters, decoded; several values of one name are joined with `,`.',
  'request.time': 'When the request came, a timestamp.',
  'source.address': 'Address of the peer.',
  'source.principal': 'Identity of the peer, `cluster.local/ns/<namespace>/sa/<account>`.',
  'source.namespace': "Namespace of the peer's identity.",
  'remote.address': 'Address of the caller, behind trusted proxies.',
  'destination.address': 'Address that the caller connected to.',
  'destination.port': 'Port that was reached, a number.',
  'connection.sni': 'Server name that a TLS caller asks for, in lower case.',
  'auth.principal': 'Authenticated caller, such as `<issuer>/<subject>`.',
  'auth.consumer': 'Name of the Consumer that calls.',
  'auth.groups': "The Consumer's groups, a list.",
  'auth.claims': "The token's claims, a map.",
} as const;

export class RequestFacts {
  method = '';
  path = '';
  host = '';
  scheme = '';
  headers: ReadonlyMap<string, string> = none;
  query: ReadonlyMap<string, string> = none;
  timeMs = 0;

  get time(): object {
    // oxlint-disable-next-line no-restricted-globals -- CEL's timestamp is a Date; no clock is read.
    return new Date(this.timeMs);
  }
}

export class SourceFacts {
  address = '';
  principal = '';
  namespace = '';
}

export class RemoteFacts {
  address = '';
}

export class DestinationFacts {
  address = '';
  port = 0n;
}

export class ConnectionFacts {
  sni = '';
}

export class AuthFacts {
  principal = '';
  consumer = '';
  groups: readonly string[] = nobody;
  claims: Readonly<Record<string, unknown>> = nothing;
}

const none: ReadonlyMap<string, string> = new Map();
const nobody: readonly string[] = Object.freeze([]);
const nothing = Object.freeze({});

export const maxExpressionLength = 4096;
const limits = {
  maxAstNodes: 512,
  maxDepth: 32,
  maxListElements: 256,
  maxMapEntries: 64,
  maxCallArguments: 8,
};

const text = 'string';
const texts = 'map<string, string>';

const environment = new Environment({ homogeneousAggregateLiterals: false, limits })
  .registerType('weir.Request', {
    ctor: RequestFacts,
    fields: {
      method: text,
      path: text,
      host: text,
      scheme: text,
      headers: texts,
      query: texts,
      time: 'google.protobuf.Timestamp',
    },
  })
  .registerType('weir.Source', {
    ctor: SourceFacts,
    fields: { address: text, principal: text, namespace: text },
  })
  .registerType('weir.Remote', { ctor: RemoteFacts, fields: { address: text } })
  .registerType('weir.Destination', {
    ctor: DestinationFacts,
    fields: { address: text, port: 'int' },
  })
  .registerType('weir.Connection', { ctor: ConnectionFacts, fields: { sni: text } })
  .registerType('weir.Auth', {
    ctor: AuthFacts,
    fields: { principal: text, consumer: text, groups: 'list<string>', claims: 'map<string, dyn>' },
  })
  .registerVariable('request', 'weir.Request')
  .registerVariable('source', 'weir.Source')
  .registerVariable('remote', 'weir.Remote')
  .registerVariable('destination', 'weir.Destination')
  .registerVariable('connection', 'weir.Connection')
  .registerVariable('auth', 'weir.Auth');

export interface Expression extends Lookups {
  /** True, false, or in a few words why there is no answer. */
  evaluate(facts: ExpressionFacts): boolean | string;
}

/** A place from 0 within the expression. */
export interface ExpressionFlaw {
  readonly message: string;
  readonly at: number;
}

export const parseExpression = (source: string): Expression | ExpressionFlaw => {
  if (source.length > maxExpressionLength)
    return { message: `is longer than ${maxExpressionLength} characters`, at: maxExpressionLength };
  try {
    const parsed = environment.parse(source);
    const lookups = survey(parsed.ast as ASTNode);
    const flaw = flawOf(parsed.check());
    if (flaw) return flaw;
    return { ...lookups, evaluate: (facts) => evaluated(parsed, facts) };
  } catch (error) {
    return flawFrom(error);
  }
};

export const isExpression = (found: Expression | ExpressionFlaw): found is Expression =>
  'evaluate' in found;

const evaluated = (
  parsed: (facts: Record<string, unknown>) => unknown,
  facts: ExpressionFacts,
): boolean | string => {
  try {
    const value = parsed(facts as unknown as Record<string, unknown>);
    return typeof value === 'boolean' ? value : 'gives neither true nor false';
  } catch (error) {
    return flawFrom(error).message;
  }
};

const flawOf = ({ valid, type, error }: TypeCheckResult): ExpressionFlaw | undefined => {
  if (!valid) return flawFrom(error);
  return type === 'bool'
    ? undefined
    : { message: `gives ${given(type)}, not true or false`, at: 0 };
};

const given = (type = 'dyn'): string =>
  type === 'dyn' ? 'what a claim holds (compare it, as in `== true`)' : `a value of type ${type}`;

/** The library's errors carry a summary beside the long text with the line drawn out. */
const flawFrom = (error: unknown): ExpressionFlaw => {
  if (error instanceof ExpressionProblem) return { message: error.message, at: error.at };
  if (!(error instanceof Error)) return { message: 'is unreadable', at: 0 };
  const { summary, range } = error as { summary?: string; range?: { start: number } };
  const message = summary ?? error.message.split('\n', 1)[0] ?? '';
  return { message: message.slice(0, 200), at: range?.start ?? 0 };
};
