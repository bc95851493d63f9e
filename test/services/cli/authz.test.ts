import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { weir } from './world.ts';

const root = resolve(import.meta.dirname, '../../..');
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-authz-'));
  writeFileSync(join(folder, 'policy.yaml'), policy);
});
afterAll(() => rmSync(folder, { recursive: true }));

const policy = `
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: a }
spec: { listeners: [{ name: web, port: 8080 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: books, namespace: a }
spec: {}
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: r, namespace: a }
spec:
  parentRefs: [{ name: public }]
  rules:
    - { name: old, matches: [{ path: { exact: /old } }], redirect: { path: /new } }
    - { name: all, backends: [{ service: books }] }
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: who, namespace: a }
spec:
  targetRefs: [{ kind: Gateway, name: public }]
  mode: optional
  methods:
    - apiKey: {}
    - jwt:
        issuers:
          - { issuer: "https://id.example", audiences: [a], jwksUri: "https://id.example/keys" }
          - { issuer: "https://hs.example", audiences: [b], algorithms: [HS256], secretFile: none }
---
apiVersion: weir.dev/v1
kind: Consumer
metadata: { name: shop, namespace: a }
spec: { groups: [partners], jwt: { issuer: "https://id.example", subject: shop } }
---
apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: strict, namespace: a }
spec:
  targetRefs: [{ kind: Route, name: r }]
  action: DENY
  rules:
    - to: [{ operation: { paths: ["/admin*"] } }]
      from: [{ source: { notRemoteIpBlocks: [10.0.0.0/8] } }]
    - cel: request.method == "PUT" && !("partners" in auth.groups) && request.time.getHours() < 8
    - when: [{ key: "request.auth.claims[role]", values: [guest] }]
`;

const run = (tests: string, ...more: readonly string[]) => {
  writeFileSync(join(folder, 'table.yaml'), `tests:\n${tests}`);
  const args = ['authz', 'test', 'table.yaml', '-f', 'policy.yaml', ...more];
  return weir(args, { cwd: folder });
};

describe('weir authz test', () => {
  it("finds Bibby's policies as the example says they are", async () => {
    const args = ['authz', 'test', 'examples/authz.yaml', '-f', 'policies'];
    const { code, out, error } = await weir(args, { cwd: root });
    expect(error).toBe('');
    expect(out).not.toContain('✗');
    expect(code).toBe(0);
  });

  it.each([
    ['an address that may', 'GET /admin', 'client: 10.1.2.3, expect: allow, service: a/books'],
    ['another address', 'GET /admin', 'expect: deny, policy: Authorization/a/strict, rule: 0'],
    ['a path that is the same in the end', 'GET /x/../admin', 'expect: deny, status: 403'],
    ['a consumer', 'PUT /', 'consumer: shop, time: "2027-01-01T07:00:00Z", expect: allow'],
    [
      "a consumer's token",
      'PUT /',
      'consumer: shop, claims: {}, time: "2027-01-01T07:00:00Z", expect: allow',
    ],
    ['groups', 'PUT /', 'groups: [partners], time: "2027-01-01T07:00:00Z", expect: allow'],
    ['other groups', 'PUT /', 'groups: [x], time: "2027-01-01T07:00:00Z", expect: deny, rule: 1'],
    ['another time', 'PUT /', 'time: "2027-01-01T08:00:00Z", expect: allow'],
    ['claims', 'GET /', 'claims: { role: guest }, expect: deny, rule: 2'],
    ['other claims', 'GET /', 'claims: { role: host }, expect: allow'],
    ['another issuer', 'GET /', 'claims: { iss: "https://hs.example" }, expect: allow'],
    [
      'an unknown issuer',
      'GET /',
      'claims: { iss: "https://x.example" }, expect: deny, status: 401',
    ],
    ['a claim that is missing', 'GET /', 'claims: { exp: null }, expect: deny, status: 401'],
    ['a consumer with claims', 'PUT /', 'groups: [partners], claims: {}, expect: allow'],
    ['a redirect', 'GET /old', 'expect: allow, status: 302'],
    ['headers', 'GET /', 'headers: { X-API-Key: [wrong] }, expect: deny, status: 401'],
  ])('judges %s', async (_, request, rest) => {
    const { code, out, error } = await run(`  - { request: "${request}", ${rest} }\n`);
    expect(error + out).toContain('1 passed');
    expect(code).toBe(0);
  });

  it('says what came instead, where the test stands, and ends with 1', async () => {
    const { code, out, error } = await run(`
  - { name: fine, request: GET /, expect: allow }
  - { name: wrong, request: GET /admin, expect: allow }
  - { name: other rule, request: GET /admin, expect: deny, rule: 1 }
`);
    expect(code).toBe(1);
    expect(error).toContain('2 of 3 verdicts are not as expected.');
    expect(out).toContain('✓ fine  forwarded to a/books');
    expect(out).toContain(
      `✗ wrong  table.yaml:4
    GET /admin
    expected allow, got deny: 403 by Authorization/a/strict rule 0: RBAC: access denied
    address-rules: Authorization/a/strict`.split('\n    address')[0],
    );
    expect(out).toContain('1 passed, 2 failed');
  });

  it('does not take a request that no route takes for a denial', async () => {
    writeFileSync(
      join(folder, 'no-route.yaml'),
      policy.replace('name: all,', 'name: all, matches: [{ path: { exact: /one } }],'),
    );
    writeFileSync(join(folder, 'table.yaml'), 'tests: [{ request: GET /two, expect: deny }]');
    const args = ['authz', 'test', 'table.yaml', '-f', 'no-route.yaml'];
    const { code, out } = await weir(args, { cwd: folder });
    expect(code).toBe(1);
    expect(out).toContain('expected deny, got no route');
  });

  it('prints JSON for scripts', async () => {
    const { out } = await run('  - { request: GET /admin, expect: deny }\n', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({
      passed: 1,
      failed: 0,
      errors: 0,
      tests: [{ verdict: 'deny', status: 403, policy: 'Authorization/a/strict', rule: 0, line: 2 }],
    });
  });

  it('fails where the policies have errors', async () => {
    writeFileSync(join(folder, 'broken.yaml'), policy.replace('action: DENY', 'action: DENI'));
    writeFileSync(join(folder, 'table.yaml'), 'tests: [{ request: GET /, expect: deny }]');
    const args = ['authz', 'test', 'table.yaml', '-f', 'broken.yaml'];
    const { code, error } = await weir(args, { cwd: folder });
    expect(error).toContain('broken.yaml:44:11 ERR_FIELD_VALUE');
    expect(code).toBe(1);
  });

  it.each([
    [
      '  - { request: GET /, expect: allow, expects: deny }\n',
      'table.yaml:2 tests.0.expects is no field here',
    ],
    ['  - { request: GET /, expect: maybe }\n', 'table.yaml:2 tests.0.expect'],
    ['  - { request: /books, expect: allow }\n', 'table.yaml:2 tests.0.request'],
    ['  []\n', 'table.yaml:2 tests'],
    ['  - [\n', 'is not YAML'],
    ['  - { request: GET /, expect: allow, consumer: x }\n', 'there is no Consumer "x"'],
    ['  - { request: GET /, expect: allow, time: noon }\n', '"noon" is no moment'],
    ['  - { request: GET /, expect: allow, scope: edge.x }\n', 'There is no scope edge.x'],
    ['  - { request: GET /%2f, expect: allow }\n', 'refuses the path with 400'],
  ])('%j is wrong usage', async (tests, message) => {
    const { code, error } = await run(tests);
    expect(error).toContain(message);
    expect(code).toBe(2);
  });

  it('shows a table in its help', async () => {
    const { out } = await weir(['authz', 'test', '--help']);
    expect(out).toContain('claims: { sub: lena, roles: [librarian] }');
    expect(out).toContain('Examples:');
  });
});
