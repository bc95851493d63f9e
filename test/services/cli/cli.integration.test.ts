import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Surroundings } from '#services/cli/surroundings.ts';
import { type Answers, Refused, startFakeControl } from './fake-control.ts';
import { type Run, temporaryFolder, weir } from './world.ts';

let folder: string;
const stops: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  rmSync(folder, { recursive: true, force: true });
});

const control = async (answers: Answers, events: readonly object[] = []) => {
  const fake = await startFakeControl(answers, events);
  stops.push(fake.close);
  const runIn =
    (world: Partial<Surroundings>) =>
    (...args: string[]): Promise<Run> =>
      weir(args, {
        env: { WEIR_URL: fake.url },
        cwd: folder,
        root: folder,
        stdinText: 'kind: Route',
        ...world,
      });
  return { ...fake, run: runIn({}), runIn };
};

const applied = {
  revision: 8,
  dryRun: false,
  changes: [
    { id: 'Route/bibby/catalog', change: 'created', diff: '+ kind: Route' },
    { id: 'Route/bibby/other', change: 'unchanged' },
  ],
  quarantined: [],
  diagnostics: [],
};
const diagnostic = {
  code: 'ERR_POLICY_UNKNOWN_SERVICE',
  severity: 'error',
  message: 'no service named "cart"',
  hint: 'Services here: catalog-service',
  location: { file: 'a.yaml', line: 14, column: 5 },
};
/** Valid for one day, which is over: the clock of the tests stands in 2027. */
const oldCertificate = `-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIUO7xDrSLpR62cKiQsVZAC5w1xZREwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNYXBpLmJpYmJ5LmNvbTAeFw0yNjExMjMxMzUwMjBaFw0yNjEx
MjQxMzUwMjBaMBgxFjAUBgNVBAMMDWFwaS5iaWJieS5jb20wWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQtKO4Yf0eB8cAl9icfA5CxS0k57z3uHPvEQG59Wmlok7T0
oY+QfqncMozCuhaZdRLhEdc+Gjl50d8pT7VjSWTFo1MwUTAdBgNVHQ4EFgQUebto
BMRp9+ZZzrC6vaAmNhPy3nIwHwYDVR0jBBgwFoAUebtoBMRp9+ZZzrC6vaAmNhPy
3nIwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAk9a15zkf087t
UIfhzSTpHsTX5zZgjFggHMVMYadaxJsCIAepUD7R3lmG3nsThXbXVAexh9rzZqDz
m5KKU1XYosxA
-----END CERTIFICATE-----
`;

const fleet = {
  revision: 8,
  leader: { instance: 'one', epoch: 3 },
  agents: [
    {
      agent: 'edge-1',
      scope: 'edge.public',
      revision: 8,
      position: 3 * 2 ** 32 + 17,
      version: '0.1.0',
      state: 'live',
      ageMs: 400,
      current: true,
    },
    {
      agent: 'edge-2',
      scope: 'edge.public',
      revision: 7,
      position: 0,
      version: '0.1.0',
      state: 'lost',
      ageMs: 9000,
      current: false,
      lastRejection: { outcome: 'rejected', reason: 'bad signature', atMs: 1_799_999_990_000 },
    },
  ],
};
const arm = { requests: 1000, errors: 10, p50Ms: 4, p99Ms: 12 };
const rollout = {
  id: 'bibby/catalog',
  service: 'bibby/catalog-service',
  state: 'progressing',
  baseline: 'v1.0',
  canary: 'v1.1',
  weight: 20,
  step: 2,
  steps: [10, 20, 50],
  startedMs: 1_799_999_900_000,
  stepStartedMs: 1_799_999_990_000,
  outcome: 'inconclusive',
  reason: 'not enough evidence yet',
  evidence: {
    rollback: 0.5,
    rollbackAt: 100,
    promote: 7,
    promoteAt: 20,
    metrics: {},
    culprits: [],
    canary: arm,
    baseline: arm,
    dispersion: 1,
    requestsNeeded: 250,
  },
  arms: { canary: arm, baseline: arm },
  strategy: 'canary',
  exposure: undefined,
  waiting: [],
  approvals: {},
  watchUntilMs: 0,
  history: [{ atMs: 1_799_999_900_000, state: 'started', weight: 10, reason: 'v1.1 appeared' }],
  standing: [],
};

describe('weir apply', () => {
  it('sends every document of a folder, named as the person named it', async () => {
    const { run, seen } = await control({ 'policy.apply': applied });
    mkdirSync(join(folder, 'policies/deep'), { recursive: true });
    writeFileSync(join(folder, 'policies/b.yaml'), 'b');
    writeFileSync(join(folder, 'policies/deep/a.yml'), 'a');
    writeFileSync(join(folder, 'policies/note.txt'), 'no');
    const { code, out } = await run('apply', '-f', 'policies', '-m', 'why');
    expect(seen[0]?.request).toEqual({
      documents: [
        { file: 'policies/b.yaml', text: 'b' },
        { file: 'policies/deep/a.yml', text: 'a' },
      ],
      message: 'why',
    });
    expect(out).toContain('created    Route/bibby/catalog');
    expect(out).toContain('revision 8');
    expect(code).toBe(0);
  });

  it('reads standard input, and asks for the wait it was told', async () => {
    const { run, seen } = await control({ 'policy.apply': applied });
    await run('apply', '-f', '-', '--wait', '95%', '--timeout', '5s', '--dry-run');
    expect(seen[0]?.request).toMatchObject({
      documents: [{ file: '<stdin>', text: 'kind: Route' }],
      dryRun: true,
      wait: { percent: 95, timeoutMs: 5000 },
    });
  });

  it('prints diagnostics with their place and exits 3', async () => {
    const { run } = await control({
      'policy.apply': { ...applied, diagnostics: [diagnostic], quarantined: ['Route/bibby/x'] },
    });
    const { code, out, error } = await run('apply', '-f', '-');
    expect(error).toContain('a.yaml:14:5 ERR_POLICY_UNKNOWN_SERVICE no service named "cart"\n');
    expect(error).toContain('Services here: catalog-service');
    expect(out).toContain('refused    Route/bibby/x');
    expect(code).toBe(3);
  });

  it('prints the diagnostics of a refusal as a whole', async () => {
    const refused = new Refused(422, 'ERR_POLICY_INVALID', [diagnostic]);
    const { run } = await control({ 'policy.apply': refused });
    const { code, error } = await run('apply', '-f', '-', '--all-or-nothing');
    expect(error).toContain('a.yaml:14:5');
    expect(code).toBe(3);
  });

  it('exits 5 when agents are missing after the wait', async () => {
    const wait = { reached: false, applied: 1, agents: 2, slowestMs: 3, missing: ['edge-2'] };
    const { run } = await control({ 'policy.apply': { ...applied, wait } });
    const { code, out } = await run('apply', '-f', '-', '--wait');
    expect(out).toContain('applied by 1 of 2 agents; still missing: edge-2');
    expect(code).toBe(5);
  });

  it('prints JSON that a script can read, diagnostics included', async () => {
    const { run } = await control({ 'policy.apply': { ...applied, diagnostics: [diagnostic] } });
    const { code, out } = await run('apply', '-f', '-', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ revision: 8, diagnostics: [diagnostic] });
    expect(code).toBe(3);
  });
});

describe('weir diff', () => {
  it('shows what differs and leaves out what does not', async () => {
    const { run } = await control({ 'policy.diff': { ...applied, dryRun: true } });
    const { code, out } = await run('diff', '-f', '-');
    expect(out).toContain('+ kind: Route');
    expect(out).not.toContain('unchanged');
    expect(code).toBe(0);
  });
});

describe('weir get', () => {
  const resources = [
    { id: 'Route/bibby/a', text: 'kind: Route\n', file: 'a.yaml', line: 1, quarantined: false },
    { id: 'Route/bibby/b', text: 'kind: Route\n', file: 'b.yaml', line: 9, quarantined: true },
  ];

  it('lists resources with their state and origin', async () => {
    const { run, seen } = await control({ 'policy.get': { revision: 8, resources } });
    const { out } = await run('get', 'routes', '-n', 'bibby');
    expect(seen[0]?.request).toEqual({ kind: 'Route', namespace: 'bibby' });
    expect(out).toMatch(/Route +bibby +b +quarantined +b.yaml:9/);
  });

  it('prints one resource as it was written', async () => {
    const { run } = await control({
      'policy.get': { revision: 8, resources: resources.slice(0, 1) },
    });
    expect((await run('get', 'route', 'bibby/a')).out).toBe('kind: Route\n');
  });

  it('prints several as one stream of documents', async () => {
    const { run } = await control({ 'policy.get': { revision: 8, resources } });
    expect((await run('get', '-o', 'yaml')).out).toBe('kind: Route\n---\nkind: Route\n');
  });

  it('fails when there is none of that name', async () => {
    const { run } = await control({ 'policy.get': { revision: 8, resources: [] } });
    expect((await run('get', 'route', 'bibby/zzz')).code).toBe(1);
  });
});

describe('the other policy verbs', () => {
  it('deletes in the default namespace unless told', async () => {
    const { run, seen } = await control({ 'policy.delete': applied });
    await run('delete', 'route', 'catalog');
    await run('delete', 'route', 'catalog', '-n', 'bibby', '-m', 'gone');
    expect(seen.map(({ request }) => request)).toEqual([
      { ids: ['Route/default/catalog'] },
      { ids: ['Route/bibby/catalog'], message: 'gone' },
    ]);
  });

  it('rolls back to a revision', async () => {
    const { run, seen } = await control({ 'policy.rollback': applied });
    const { code, out } = await run('rollback', '7', '--wait');
    expect(code).toBe(0);
    expect(out).toContain('Route/bibby/catalog');
    expect(out).not.toContain('unchanged');
    expect(seen[0]?.request).toMatchObject({ revision: 7, wait: { percent: 100 } });
  });

  it('shows who changed what', async () => {
    const commit = {
      revision: 8,
      author: 'alice',
      message: 'open the doors',
      atMs: 0,
      changes: [
        { type: 'put', id: 'Route/bibby/a' },
        { type: 'delete', id: 'Route/bibby/b' },
      ],
    };
    const { run } = await control({ 'policy.history': { revision: 8, commits: [commit] } });
    const { out } = await run('history');
    expect(out).toMatch(/8 \* +1970-01-01 00:00:00 +alice +\+Route\/bibby\/a and 1 more +open the/);
  });
});

describe('weir status', () => {
  it('shows each agent, its position and its last rejection', async () => {
    const { run } = await control({ 'fleet.status': fleet });
    const { out } = await run('status');
    expect(out).toMatch(/edge-1 +edge.public +8 +3\.17 +400ms +live +-/);
    expect(out).toMatch(/edge-2 .*lost +rejected 10s ago: bad signature/);
  });

  it('watches until it is stopped, and survives a moment without control', async () => {
    const { run: _, url, close } = await control({ 'fleet.status': fleet });
    const stop = new AbortController();
    let rounds = 0;
    const { code, out } = await weir(['status', '--watch'], {
      env: { WEIR_URL: url },
      stop: stop.signal,
      sleep: async () => {
        if (++rounds === 1) await close();
        else stop.abort();
      },
    });
    expect(out).toContain('edge-1');
    expect(out).toContain('not reachable');
    expect(code).toBe(0);
  });
});

describe('weir rollout', () => {
  it('shows weight, both versions, the evidence and the way so far', async () => {
    const { run } = await control({ 'rollout.status': { rollouts: [rollout] } });
    const { out } = await run('rollout', 'status');
    expect(out).toContain('v1.0 -> v1.1  progressing');
    expect(out).toContain('weight 20%  step 2 of 3 (10, 20, 50)  for 10s');
    expect(out).toMatch(/v1\.1 +1000 +10 +1\.00% +4\.0ms +12\.0ms/);
    expect(out).toContain(
      'evidence for promotion 7.00 of 20: not enough evidence, about 250 more requests needed',
    );
    expect(out).toContain('v1.1 appeared');
  });

  it.each([
    [{ strategy: 'ab', exposure: 'cohort' }, 'the cohort is served by v1.1  for 10s'],
    [{ strategy: 'mirror', exposure: 'mirror' }, 'v1.1 gets copies of requests'],
    [{ strategy: 'mirror' }, 'weight 20%  step 2 of 3'],
    [{ strategy: 'blueGreen', weight: 0 }, 'v1.1 waits beside the traffic'],
    [{ watchUntilMs: 1_800_000_060_000 }, 'watched for 60s more'],
  ])('says of %j how the new version meets traffic', async (more, words) => {
    const { run } = await control({ 'rollout.status': { rollouts: [{ ...rollout, ...more }] } });
    expect((await run('rollout', 'status')).out).toContain(words);
  });

  it('tells the way of this trial, and only counts what came before', async () => {
    const [entry] = rollout.history;
    const earlier = { ...entry, atMs: rollout.startedMs - 120_000, reason: 'long ago' };
    const history = [earlier, ...rollout.history];
    const { run } = await control({ 'rollout.status': { rollouts: [{ ...rollout, history }] } });
    const { out } = await run('rollout', 'status');
    expect(out).toContain('... 1 steps of earlier trials: -o json');
    expect(out).not.toContain('long ago');
    expect(out).toContain('v1.1 appeared');
  });

  it('says how to agree to what waits for it', async () => {
    const waiting = [{ gate: 'approval:promotion', reason: 'a person to approve it' }];
    const { run } = await control({ 'rollout.status': { rollouts: [{ ...rollout, waiting }] } });
    const { out } = await run('rollout', 'status');
    expect(out).toContain('weir rollout approve bibby/catalog');
  });

  it.each([
    ['succeeded', 0],
    ['failed', 1],
  ])('ends its watch when the rollout has %s, with exit code %i', async (state, code) => {
    const { run } = await control({ 'rollout.status': { rollouts: [{ ...rollout, state }] } });
    expect((await run('rollout', 'status', '--watch')).code).toBe(code);
  });

  it.each([
    [{ state: 'succeeded' }, 0],
    [{ state: 'failed' }, 1],
    [{ state: 'idle', baseline: 'v1.1', canary: undefined }, 0],
    [{ state: 'idle', canary: undefined }, 1],
    [{ canary: 'v1.2' }, 1],
    [{}, 5],
  ])('start --wait ends with %j by exit code %i', async (after, code) => {
    const { runIn } = await control({
      'rollout.status': { rollouts: [{ ...rollout, ...after }] },
      'rollout.start': { rollouts: [rollout] },
    });
    const args = ['rollout', 'start', 'bibby/catalog', '--wait', '--timeout', '3s'];
    let nowMs = 1_800_000_000_000;
    const time = {
      now: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    };
    expect((await runIn(time)(...args)).code).toBe(code);
  });

  it('starts the version that is named', async () => {
    const { run, seen } = await control({ 'rollout.start': { rollouts: [rollout] } });
    expect((await run('rollout', 'start', 'bibby/catalog', '--to', 'v1.1')).code).toBe(0);
    expect(seen[0]?.request).toEqual({ namespace: 'bibby', name: 'catalog', version: 'v1.1' });
  });

  it('takes promote-full for promote, and refuses a timeout that is none', async () => {
    const { run, seen } = await control({ 'rollout.promote': { rollouts: [rollout] } });
    expect((await run('rollout', 'promote-full', 'bibby/catalog')).code).toBe(0);
    expect(seen[0]?.operation).toBe('rollout.promote');
    const wrong = ['rollout', 'start', 'bibby/catalog', '--wait', '--timeout', 'soon'];
    expect((await run(...wrong)).code).toBe(2);
  });

  it.each([
    'promote',
    'abort',
    'pause',
    'resume',
    'retry',
    'start',
    'skip',
    'undo',
    'approve',
    'reject',
  ] as const)('can %s the only rollout there is', async (verb) => {
    const { run, seen } = await control({
      'rollout.status': { rollouts: [rollout] },
      [`rollout.${verb}`]: { rollouts: [rollout] },
    });
    expect((await run('rollout', verb, '--reason', 'because')).code).toBe(0);
    expect(seen[1]).toMatchObject({
      operation: `rollout.${verb}`,
      request: { namespace: 'bibby', name: 'catalog', reason: 'because' },
    });
  });

  it('asks which one when there are several', async () => {
    const { run } = await control({ 'rollout.status': { rollouts: [rollout, rollout] } });
    expect((await run('rollout', 'abort')).code).toBe(2);
  });
});

describe('weir revoke', () => {
  const revocation = {
    target: 'sub:ada',
    expiresMs: 1_800_000_000_000,
    by: 'operator:admin',
    reason: 'lost',
  };

  it.each([
    [['subject', 'ada'], { target: 'sub:ada', ttlMs: 86_400_000 }],
    [
      ['token', 'j1', '--for', '30m', '--reason', 'lost'],
      { target: 'jti:j1', ttlMs: 1_800_000, reason: 'lost' },
    ],
    [['issuer-key', 'k1'], { target: 'kid:k1', ttlMs: 86_400_000 }],
    [['before', '2026-11-23T12:00:00Z'], { target: 'before:1795435200000', ttlMs: 86_400_000 }],
  ])('%j asks control', async (args, request) => {
    const { run, seen } = await control({ 'access.revoke': { revocations: [revocation] } });
    const { code, out } = await run('revoke', ...args);
    expect(code).toBe(0);
    expect(out).toBe('sub:ada  shut out until 2027-01-15T08:00:00Z by operator:admin: lost\n');
    expect(seen.at(-1)).toMatchObject({ operation: 'access.revoke', request });
  });

  it.each([
    [['before', 'yesterday'], 'is no moment'],
    [['token', 'x', '--for', 'ever'], 'is no duration'],
    [['undo', 'user', 'x'], 'There is no "user"'],
  ])('%j is wrong usage', async (args, words) => {
    const { run } = await control({});
    const { code, error } = await run('revoke', ...args);
    expect(code).toBe(2);
    expect(error).toContain(words);
  });
});

describe('weir events', () => {
  const event = {
    type: 'weir.rollout.stepped',
    subject: 'bibby/catalog',
    time: '2027-01-15T08:00:00Z',
    data: { weight: 20 },
  };

  it('prints each as it comes, and says when control hangs up', async () => {
    const other = { ...event, type: 'weir.agent.joined' };
    const { run } = await control({}, [event, other]);
    const { code, out } = await run('events', '--type', 'rollout');
    expect(out).toBe('08:00:00 rollout.stepped bibby/catalog weight=20\n');
    expect(code).toBe(4);
  });
});

describe('weir token', () => {
  it('signs with the development key of the installation', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
    mkdirSync(join(folder, 'keys'));
    const jwk = { ...(await exportJWK(privateKey)), kid: 'dev', alg: 'EdDSA' };
    writeFileSync(join(folder, 'keys/dev-issuer.jwk.json'), JSON.stringify(jwk));
    const env = { WEIR_HOME: folder };
    const { out } = await weir(['token', '--sub', 'bob', '--role', 'admin', '--role', 'x'], {
      env,
    });
    const currentDate = new Date(1_800_000_000_000);
    const { payload } = await jwtVerify(out.trim(), publicKey, { currentDate });
    expect(payload).toMatchObject({ sub: 'bob', roles: ['admin', 'x'] });
    const old = await weir(['token', '--expires', '-1h'], { env });
    await expect(jwtVerify(old.out.trim(), publicKey, { currentDate })).rejects.toThrow('exp');
  });

  it('says how to get a key when there is none', async () => {
    const { code, error } = await weir(['token'], { env: { WEIR_HOME: folder } });
    expect(error).toContain('npm start');
    expect(code).toBe(1);
  });
});

describe('finding control', () => {
  it('uses the address and the token that the installation wrote', async () => {
    const { url, seen } = await control({ 'fleet.status': fleet });
    mkdirSync(join(folder, '.weir'));
    writeFileSync(join(folder, '.weir/control.json'), JSON.stringify({ url }));
    const tokens = [
      { name: 'view', role: 'viewer', token: 'v' },
      { name: 'admin', role: 'admin', token: 'a' },
    ];
    writeFileSync(join(folder, '.weir/tokens.json'), JSON.stringify({ tokens }));
    const below = join(folder, 'deep/er');
    mkdirSync(below, { recursive: true });
    expect((await weir(['status'], { cwd: below })).code).toBe(0);
    expect(seen[0]?.authorization).toBe('Bearer a');
    await weir(['status', '--token', 'mine'], { cwd: below });
    expect(seen[1]?.authorization).toBe('Bearer mine');
  });

  it('exits 4 when nothing listens', async () => {
    const { code, error } = await weir(['status', '--url', 'http://127.0.0.1:9']);
    expect(error).toContain('not reachable at http://127.0.0.1:9');
    expect(code).toBe(4);
  });

  it.each([
    ['ERR_REQUEST_UNAUTHENTICATED', 401, 1],
    ['ERR_REQUEST_FORBIDDEN', 403, 1],
    ['ERR_REQUEST_INVALID', 400, 2],
    ['ERR_NOT_LEADER', 503, 4],
    ['ERR_BUS_TIMEOUT', 504, 5],
    ['ERR_INTERNAL', 500, 1],
  ])('turns %s (%i) into exit code %i', async (name, status, exit) => {
    const { run } = await control({ 'fleet.status': new Refused(status, name) });
    const { code, error } = await run('status');
    expect(error).toContain(name);
    expect(code).toBe(exit);
  });
});

describe('weir check', () => {
  const resources = [{ id: 'Route/a/b', text: 'x', file: 'a.yaml', line: 1, quarantined: false }];
  const answers = {
    'fleet.status': { ...fleet, agents: fleet.agents.slice(0, 1) },
    'policy.get': { revision: 8, resources },
    'policy.diff': applied,
  };
  const install = (mode: number) => {
    mkdirSync(join(folder, 'credentials'));
    mkdirSync(join(folder, 'keys'));
    const files = ['credentials/control.nk', 'keys/control.jwk.json', 'keys/dev-issuer.jwk.json'];
    for (const file of [...files, 'tokens.json']) {
      writeFileSync(join(folder, file), '{}');
      chmodSync(join(folder, file), mode);
    }
    writeFileSync(join(folder, 'package.json'), '{"dependencies":{}}');
  };
  const check = (url: string) =>
    weir(['check'], { env: { WEIR_HOME: folder, WEIR_URL: url }, root: folder });

  it('is content with a sound installation', async () => {
    const { url } = await control(answers);
    install(0o600);
    const { code, out } = await check(url);
    expect(out).toContain('1, all live and current');
    expect(out).toContain('1 resources at revision 8, no diagnostics');
    expect(code).toBe(0);
  });

  it('finds secrets that others can read, lost agents and policies with errors', async () => {
    const { url } = await control({
      ...answers,
      'fleet.status': fleet,
      'policy.diff': { ...applied, diagnostics: [diagnostic] },
    });
    install(0o644);
    const { code, out } = await check(url);
    expect(out).toContain('readable by others: credentials/control.nk');
    expect(out).toContain('edge-2 is lost since 9s');
    expect(out).toContain('ERR_POLICY_UNKNOWN_SERVICE');
    expect(code).toBe(1);
  });

  it('finds a bus that does not run, keys that cannot be read, wrong clocks and old certificates', async () => {
    const [agent] = fleet.agents;
    const gateway = {
      id: 'Gateway/a/b',
      text: `spec: { listeners: [{ tls: { certificates: [{ certificateFile: ${folder}/a.crt }] } }] }`,
    };
    const { url } = await control({
      ...answers,
      'fleet.status': { ...fleet, agents: [{ ...agent, clockAheadMs: -120_000 }] },
      'policy.get': { revision: 8, resources: [{ ...resources[0], ...gateway }] },
    });
    install(0o600);
    mkdirSync(join(folder, 'nats'));
    writeFileSync(join(folder, 'nats', 'server.conf'), '');
    writeFileSync(join(folder, 'keys', 'control.jwk.json'), 'broken');
    writeFileSync(join(folder, 'a.crt'), oldCertificate);
    const { code, out } = await check(url);
    expect(out).toContain('the nats-server of this installation does not run');
    expect(out).toContain('not to be read: keys/control.jwk.json');
    expect(out).toMatch(/clocks +that of edge-1 is 2m behind control's/);
    expect(out).toMatch(/certificates +Gateway\/a\/b: .*a\.crt ran out on 2026-11-24/);
    expect(code).toBe(1);
  });

  it('says what to do when nothing runs', async () => {
    const { code, out } = await check('http://127.0.0.1:9');
    expect(out).toContain('Start it with `npm start`');
    expect(code).toBe(1);
  });
});
