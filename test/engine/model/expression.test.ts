import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AuthFacts,
  ConnectionFacts,
  DestinationFacts,
  type ExpressionFacts,
  expressionVariables,
  isExpression,
  parseExpression,
  RemoteFacts,
  RequestFacts,
  SourceFacts,
} from '#engine/model/expression.ts';

const facts = (): ExpressionFacts => ({
  request: Object.assign(new RequestFacts(), {
    method: 'GET',
    path: '/a/b',
    host: 'api.bibby.com',
    scheme: 'https',
    headers: new Map([['x-a', '1']]),
    query: new Map([['page', '2']]),
    timeMs: 1_800_000_000_000,
  }),
  source: Object.assign(new SourceFacts(), { address: '10.0.0.1' }),
  remote: Object.assign(new RemoteFacts(), { address: '203.0.113.9' }),
  destination: Object.assign(new DestinationFacts(), { address: '10.0.0.2', port: 8080n }),
  connection: Object.assign(new ConnectionFacts(), { sni: 'api.bibby.com' }),
  auth: Object.assign(new AuthFacts(), {
    principal: 'https://id.bibby.com/alice',
    groups: ['staff'],
    claims: JSON.parse(
      '{"roles":["reader","librarian"],"level":5,"staff":true,"nested":{"a":"b"},"__proto__":{"admin":true}}',
    ) as Record<string, unknown>,
  }),
});

const evaluate = (source: string): boolean | string => {
  const found = parseExpression(source);
  return isExpression(found) ? found.evaluate(facts()) : `refused: ${found.message}`;
};

describe('an expression', () => {
  it.each([
    ['request.method == "GET"', true],
    ['destination.address == "10.0.0.2" && destination.port == 8080', true],
    ['connection.sni == request.host', true],
    ['request.path.startsWith("/a") && request.host.endsWith(".com")', true],
    ['request.path.matches("^/a/[a-z]$")', true],
    ['request.scheme == "https" ? true : false', true],
    ['request.headers["x-a"] == "1"', true],
    ['"x-b" in request.headers', false],
    ['has(request.headers.x) || request.query["page"] == "2"', true],
    ['request.time > timestamp("2020-01-01T00:00:00Z")', true],
    ['request.time.getHours() == 8', true],
    ['source.address == "10.0.0.1" && remote.address != source.address', true],
    ['source.principal == "" && source.namespace == ""', true],
    ['destination.port == 8080', true],
    ['auth.principal.startsWith("https://id.bibby.com/")', true],
    ['auth.consumer == ""', true],
    ['"staff" in auth.groups', true],
    ['"librarian" in auth.claims.roles', true],
    ['auth.claims.roles.exists(role, role.startsWith("lib"))', true],
    ['auth.claims.roles.all(role, role == "reader")', false],
    ['["x", "lib"].exists(p, auth.claims.roles.exists(r, r.startsWith(p)))', true],
    ['auth.claims.level > 4 && auth.claims.level == 5', true],
    ['auth.claims.staff == true && auth.claims.nested.a == "b"', true],
    ['size(auth.claims.roles) == 2', true],
  ])('%s is %s', (source, expected) => {
    expect(evaluate(source)).toBe(expected);
  });

  it.each([
    ['request.headers["x-b"] == "1"', 'No such key: x-b'],
    ['auth.claims.nobody == "1"', 'No such key: nobody'],
    ['auth.claims.level == "5"', false],
    [
      'auth.claims.level.startsWith("5")',
      "found no matching overload for 'double.startsWith(string)'",
    ],
    ['auth.claims.constructor == "x"', 'No such key: constructor'],
    ['auth.claims.toString == "x"', 'No such key: toString'],
    ['auth.claims.admin == true', 'No such key: admin'],
    ['auth.claims.nested.__proto__ == {}', 'No such key: __proto__'],
    ['has(auth.claims.hasOwnProperty)', false],
    ['auth.claims.roles[7] == "x"', 'No such key: index out of bounds, index 7 >= size 2'],
    ['1 / (size(auth.groups) - 1) == 1', 'division by zero'],
    ['int(auth.principal) == 1', 'int() type error: cannot convert to int'],
  ])('%s has no answer but %s', (source, expected) => {
    expect(evaluate(source)).toBe(expected);
  });

  it('is content with one side that has an answer', () => {
    expect(evaluate('request.headers["x-b"] == "1" || request.method == "GET"')).toBe(true);
    expect(evaluate('request.headers["x-b"] == "1" && request.method == "POST"')).toBe(false);
  });

  it('knows every variable that is documented', () => {
    for (const name of Object.keys(expressionVariables)) {
      const isMap = /headers|query|claims/.test(name);
      const found = parseExpression(isMap ? `"x" in ${name}` : `[${name}] == []`);
      expect(found, name).toHaveProperty('evaluate');
    }
  });

  it('finds its variables in the documentation', () => {
    const page = readFileSync(new URL('../../../docs/authorization.md', import.meta.url), 'utf8');
    for (const [name, meaning] of Object.entries(expressionVariables))
      expect(page).toContain(`| \`${name}\` | ${meaning} |`);
  });

  it('says what it looks up', () => {
    const found = parseExpression(
      '"x-a" in request.headers && request.headers.b == request.query["c"] && source.principal.matches("^d")',
    );
    expect(found).toMatchObject({
      headers: ['x-a', 'b'],
      query: ['c'],
      patterns: [{ pattern: '^d' }],
      usesPeer: true,
    });
  });
});

describe('an expression is refused', () => {
  it.each([
    ['', 'Unexpected token: EOF', 0],
    ['request.method ==', 'Unexpected token: EOF', 17],
    ['request.method = "GET"', 'Unexpected character: =', 15],
    ['request.methd == "GET"', 'No such key: methd', 8],
    ['nobody == 1', 'Unknown variable: nobody', 0],
    ['request.method == 1', 'no such overload: string == int', 0],
    ['request.method', 'gives a value of type string, not true or false', 0],
    ['auth.claims.staff', 'compare it, as in `== true`', 0],
    ['request', 'request is only used with a member', 0],
    ['[request].exists(r, "x" in r.headers)', 'request is only used with a member', 1],
    ['request["headers"]["x"] == ""', 'request is only used with a member', 0],
    ['[auth].exists(a, "x" in a.claims)', 'auth is only used with a member', 1],
    ['request.headers["X-A"] == "1"', 'names of headers are in lower case', 0],
    ['request.headers.exists(h, h == "x")', 'only looked up by a name in quotes', 0],
    ['size(request.headers) > 1', 'only looked up by a name in quotes', 5],
    ['request.headers[request.path] == ""', 'only looked up by a name in quotes', 0],
    ['[request.query].exists(q, "x" in q)', 'only looked up by a name in quotes', 1],
    ['request.path.matches(request.host)', 'matches takes a pattern in quotes', 21],
    ['cel.bind(x, "a", x + x) == "a"', 'there is no bind()', 0],
    ['b"{}".json() == {}', 'there is no json()', 0],
    ['request.path.split("") == []', 'there is no split()', 0],
    ['exec("ls")', 'there is no exec()', 0],
    ['auth.claims.a.all(x, auth.claims.b.all(y, x == y))', 'times what is allowed', 0],
    ['auth.claims.a.map(x, auth.claims.b.map(y, y)) == []', 'times what is allowed', 0],
  ])('%s: %s', (source, message, at) => {
    const found = parseExpression(source);
    expect(isExpression(found)).toBe(false);
    if (isExpression(found)) return;
    expect(found.message).toContain(message);
    expect(found.at).toBe(at);
  });

  it.each([
    ['maxDepth', `${'('.repeat(64)}true${')'.repeat(64)}`],
    ['maxAstNodes', `1${' + 1'.repeat(600)} == 1`],
    ['maxListElements', `1 in [${'1,'.repeat(300)}1]`],
    ['longer than 4096 characters', `"${'x'.repeat(5000)}" == ""`],
  ])('for its size: %s', (message, source) => {
    expect(evaluate(source)).toContain(`refused`);
    expect(evaluate(source)).toContain(message);
  });

  it('or answers, and never throws, whatever it says', () => {
    const word = fc.constantFrom(
      ...'request auth . headers claims ["x"] "a" 1 == && ! ( ) [ ] exists(x, has( x in ? : - { } roles __proto__'.split(
        ' ',
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 14 }), (words) => {
        expect(['boolean', 'string']).toContain(typeof evaluate(words.join('')));
      }),
      { numRuns: 2000 },
    );
  });
});
