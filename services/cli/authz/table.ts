// The table of requests and expected verdicts, read strictly: a typing error must never be a test that passes.
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { CliError, exitCodes } from '../exit.ts';

const strict = { additionalProperties: false };
const text = (description: string) => Type.Optional(Type.String({ description }));

const testSchema = Type.Object(
  {
    name: text('What it shows. Default: the request.'),
    request: Type.String({
      pattern: '^[A-Za-z]+ \\S+$',
      description: 'Method and address: `GET http://api.bibby.com/catalog/books`.',
    }),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())])),
    ),
    claims: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    consumer: text('Name of a Consumer who calls.'),
    groups: Type.Optional(Type.Array(Type.String())),
    client: text("The caller's address."),
    peer: text("Identity of the peer's certificate, `cluster.local/ns/<namespace>/sa/<account>`."),
    scope: text('Default: that of the table, else the only gateway.'),
    time: text('Moment of the request, such as 2027-01-31T09:30:00Z.'),
    expect: Type.Union([Type.Literal('allow'), Type.Literal('deny')]),
    status: Type.Optional(Type.Integer({ minimum: 200, maximum: 599 })),
    policy: text('Who denies, such as `Authorization/bibby/no-admin`.'),
    rule: Type.Optional(Type.Integer({ minimum: 0 })),
    service: text('Where an allowed request goes, such as `bibby/catalog-service`.'),
  },
  strict,
);

const tableSchema = Type.Object(
  { scope: text('Scope of all tests.'), tests: Type.Array(testSchema, { minItems: 1 }) },
  strict,
);

export type AuthzTest = Static<typeof testSchema> & { readonly line: number };

export interface AuthzTable {
  readonly scope?: string;
  readonly tests: readonly AuthzTest[];
}

export const readTable = (file: string, source: string): AuthzTable => {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number): number => lines.linePos(offset).line;
  const [broken] = document.errors;
  if (broken) throw refuse(`${file}:${lineOf(broken.pos[0])} is not YAML: ${broken.message}`);
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const [wrong] = Value.Errors(tableSchema, value);
  if (wrong) {
    const path = wrong.instancePath.split('/').slice(1);
    const place = lineOf(nearest(document.contents, path)?.range?.[0] ?? 0);
    throw refuse(`${file}:${place} ${path.join('.') || 'the table'} ${told(wrong)}`);
  }
  const { scope, tests } = value as Static<typeof tableSchema>;
  return {
    ...(scope === undefined ? {} : { scope }),
    tests: tests.map((test, index) => ({
      ...test,
      line: lineOf(nearest(document.contents, ['tests', String(index)])?.range?.[0] ?? 0),
    })),
  };
};

const refuse = (message: string): CliError =>
  new CliError(exitCodes.usage, message, { hint: '`weir authz test --help` shows a table.' });

const told = ({ message, keyword }: { message: string; keyword: string }): string =>
  keyword === 'boolean' ? 'is no field here' : message;

/** The innermost node there is on the way. */
const nearest = (root: Node | null, path: readonly string[]): Node | undefined => {
  let node: unknown = root ?? undefined;
  for (const step of path) {
    const next = isSeq(node)
      ? node.get(Number(step), true)
      : isMap(node)
        ? node.get(step, true)
        : undefined;
    if (next === undefined) break;
    node = next;
  }
  return node as Node | undefined;
};
