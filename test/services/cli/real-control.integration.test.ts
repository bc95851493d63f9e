// The command against control itself: what the fake promises, control keeps.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dev, startDev } from '#services/dev/dev.ts';
import { temporaryFolder, weir } from './world.ts';

const gateway = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, port: 8080, protocol: HTTP }] }
`;
const route = (body: string) => `apiVersion: weir.dev/v1
kind: Route
metadata: { name: hello }
spec:
  parentRefs: [{ name: public }]
  rules:
    - name: all
      matches: [{ path: { prefix: /hello }, methods: [GET] }]
      respond: { status: 200, body: ${body} }
`;

let dev: Dev;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder, 'policies'));
  dev = await startDev({
    adminPort: 0,
    listenPorts: new Map([[8080, 0]]),
    files: () => undefined,
    log: () => {},
  });
  await dev.apply([{ file: 'policies/gateway.yaml', text: gateway }]);
});
afterAll(async () => {
  await dev.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: string[]) =>
  weir(args, { env: { WEIR_URL: dev.url, WEIR_TOKEN: dev.token }, cwd: folder, root: folder });
const save = (text: string) => writeFileSync(join(folder, 'policies/hello.yaml'), text);

describe('weir against control', () => {
  it('shows a difference, applies it, and has it on every agent', async () => {
    save(route('one'));
    expect((await run('diff', '-f', 'policies')).out).toContain('created    Route/default/hello');
    const { code, out } = await run('apply', '-f', 'policies', '--wait', '-m', 'hello');
    expect(out).toContain('applied by 1 of 1 agents');
    expect(code).toBe(0);
    expect((await run('diff', '-f', 'policies')).out).toContain('nothing was changed');
  });

  it('reports a mistake at its line and column, and exits 3', async () => {
    save(route('one').replace('prefix:', 'perfix:'));
    const { code, error } = await run('apply', '-f', 'policies');
    expect(error).toMatch(/policies\/hello\.yaml:8:\d+ ERR_FIELD_UNKNOWN/);
    expect(code).toBe(3);
  });

  it('lists, shows and remembers', async () => {
    save(route('two'));
    await run('apply', '-f', 'policies', '-m', 'two');
    expect((await run('get')).out).toMatch(
      /Route +default +hello +in force +policies\/hello.yaml:1/,
    );
    expect((await run('get', 'route', 'default/hello')).out.trim()).toBe(route('two').trim());
    expect((await run('history')).out).toMatch(/dev +\+Route\/default\/hello +two/);
  });

  it('rolls back and deletes', async () => {
    expect((await run('rollback', '2', '--wait')).code).toBe(0);
    expect((await run('get', 'route', 'default/hello')).out).toContain('body: one');
    expect((await run('delete', 'route', 'default/hello')).out).toContain('deleted');
    expect((await run('get', 'route', 'default/hello')).code).toBe(1);
    expect((await run('rollback', '2')).code).toBe(0);
  });

  it('has nobody to compare a canary with where one edge is alone', async () => {
    save(route('three'));
    const { code, error } = await run('apply', '-f', 'policies', '--canary', '--wait');
    expect(code).toBe(1);
    expect(error).toContain('only one agent serves edge.public');
    expect((await run('policy-canary', 'status')).out).toBe('no policy canary\n');
    save(route('one'));
  });

  it('shows the fleet', async () => {
    expect((await run('status')).out).toMatch(/edge-public +edge\.public .* (live|static)/);
  });

  it('explains who answers and why the others do not', async () => {
    const { out } = await run('explain', 'GET', 'http://any.host/hello');
    expect(out).toContain('200');
    expect(out).toContain('default/hello/all');
    const other = await run('explain', 'POST', 'http://any.host/hello');
    expect(other.out).toContain('lost: method POST is not one of GET');
  });

  it('explains what a policy would do to a caller with a certificate', async () => {
    const watching = `apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: watching }
spec:
  targetRefs: [{ kind: Route, name: hello }]
  action: DENY
  mode: audit
  rules: [{ from: [{ source: { notPrincipals: [cluster.local/ns/a/sa/b] } }] }]
`;
    save(`${route('one')}---\n${watching}`);
    expect((await run('apply', '-f', 'policies', '--wait')).code).toBe(0);
    const says = async (...peer: string[]) => {
      const { out } = await run('explain', 'GET', 'http://any.host/hello', ...peer);
      return /Authorization\/default\/watching \[audit\] (.*)/.exec(out)?.[1];
    };
    expect(await says()).toBe('DENY: rule 0 matches');
    expect(await says('--peer', 'cluster.local/ns/a/sa/c')).toBe('DENY: rule 0 matches');
    expect(await says('--peer', 'spiffe://cluster.local/ns/a/sa/b')).toBe('DENY: no rule matches');
    expect(await says('--peer', 'cluster.local/ns/a/sa/b')).toBe('DENY: no rule matches');
    save(route('one'));
    await run('delete', 'authorization', 'default/watching');
  });

  it('judges a table by the policies that are in force', async () => {
    const guard = `apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: guard }
spec:
  targetRefs: [{ kind: Route, name: hello }]
  action: DENY
  rules: [{ to: [{ operation: { paths: [/hello/staff] } }] }, { when: [{ key: remote.ip, values: [192.0.2.7] }] }]
`;
    save(`${route('one')}---\n${guard}`);
    expect((await run('apply', '-f', 'policies', '--wait')).code).toBe(0);
    const judge = (...tests: string[]) => {
      writeFileSync(join(folder, 'table.yaml'), `tests: [${tests.join(', ')}]`);
      return run('authz', 'test', 'table.yaml');
    };
    const staff = '{ name: staff only, request: GET http://any.host/hello/staff, expect: ';
    const other = '{ request: GET http://any.host/hello, client: 192.0.2.7, expect: ';
    const good = await judge(`${staff} deny, rule: 0 }`, `${other} deny, status: 403 }`);
    expect(good.error).toBe('');
    expect(good.out).toContain('2 passed');
    expect(good.code).toBe(0);
    const bad = await judge(`${staff} allow }`, `${other} deny }`);
    expect(bad.out).toContain(
      'expected allow, got deny: 403 by Authorization/default/guard rule 0: RBAC: access denied',
    );
    expect(bad.error).toContain('1 of 2 verdicts are not as expected.');
    expect(bad.code).toBe(1);
    save(route('one'));
    await run('delete', 'authorization', 'default/guard');
  });

  it('cannot judge without control or a good token', async () => {
    writeFileSync(join(folder, 'table.yaml'), 'tests: [{ request: GET /hello, expect: allow }]');
    expect((await run('authz', 'test', 'table.yaml', '--token', 'wrong')).code).toBe(1);
    const away = { WEIR_URL: 'http://127.0.0.1:1', WEIR_TOKEN: 'any' };
    const { code, error } = await weir(['authz', 'test', 'table.yaml'], { env: away, cwd: folder });
    expect(error).not.toBe('');
    expect(code).toBe(4);
  });

  it('follows events until it is stopped', async () => {
    const stop = new AbortController();
    let seen = '';
    const following = weir(['events', '--type', 'policy'], {
      env: { WEIR_URL: dev.url, WEIR_TOKEN: dev.token },
      stop: stop.signal,
      out: (text) => {
        seen += text;
        stop.abort();
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    save(route('three'));
    await run('apply', '-f', 'policies');
    expect((await following).code).toBe(0);
    expect(seen).toContain('policy.committed');
  });

  it('says that there is no rollout, and refuses a bad token', async () => {
    expect((await run('rollout', 'status')).out).toBe('no rollouts\n');
    expect((await run('rollout', 'abort')).code).toBe(1);
    const { code, error } = await run('status', '--token', 'wrong');
    expect(error).toContain('ERR_REQUEST_UNAUTHENTICATED');
    expect(code).toBe(1);
  });
});
