import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import { type Answers, Refused, startFakeControl } from './fake-control.ts';
import { temporaryFolder, weir } from './world.ts';

let folder: string;
const stops: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  rmSync(folder, { recursive: true, force: true });
});

const startedMs = 1_799_999_990_000;
const arm = { requests: 400, refused: 60, failed: 1, p50Ms: 4, p99Ms: 12 };
const canary: PolicyCanaryStatus = {
  id: 'r9-x',
  revision: 9,
  base: 8,
  state: 'watching',
  author: 'alice',
  message: 'books',
  changed: ['Route/bibby/catalog'],
  cohorts: [{ scope: 'edge.public', agents: ['edge-3'], of: 10 }],
  startedMs,
  deadlineMs: startedMs + 600_000,
  reason: 'not enough evidence yet',
  culprits: [],
  verdict: {
    outcome: 'inconclusive',
    reason: '',
    culprits: [],
    scopes: [
      {
        scope: 'edge.public',
        cohort: arm,
        rest: { ...arm, requests: 3600 },
        revert: 0.5,
        revertAt: 300,
        promote: 7,
        promoteAt: 20,
      },
    ],
  },
  history: [
    { atMs: startedMs, state: 'spreading', reason: 'sent to edge-3' },
    { atMs: startedMs + 1000, state: 'watching', reason: 'its agents have it' },
  ],
};
const applied = {
  revision: 8,
  dryRun: false,
  changes: [{ id: 'Route/bibby/catalog', change: 'updated' }],
  quarantined: [],
  diagnostics: [],
  canary,
};

const control = async (answers: Answers) => {
  const fake = await startFakeControl(answers);
  stops.push(fake.close);
  let nowMs = 1_800_000_000_000;
  const run = (...args: string[]) =>
    weir(args, {
      env: { WEIR_URL: fake.url },
      cwd: folder,
      root: folder,
      stdinText: 'kind: Route',
      now: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    });
  return { ...fake, run };
};

describe('weir apply --canary', () => {
  it.each([
    [['--canary'], { percent: 10, maxDurationMs: 600_000 }],
    [['--canary=25%'], { percent: 25, maxDurationMs: 600_000 }],
    [['--canary', '2', '--max-duration', '30m'], { count: 2, maxDurationMs: 1_800_000 }],
  ])('%j asks for %j', async (options, wanted) => {
    const { run, seen } = await control({ 'policy.apply': applied });
    const { code, out } = await run('apply', '-f', '-', ...options);
    expect(code).toBe(0);
    expect(seen[0]?.request).toMatchObject({ canary: wanted });
    expect(out).toContain('edge.public: tried by edge-3 (1 of 10)');
    expect(out).toContain('revision 8');
  });

  it.each(['all', '0', '101%', '-1'])('refuses a share of %s', async (share) => {
    const { run, seen } = await control({ 'policy.apply': applied });
    expect((await run('apply', '-f', '-', `--canary=${share}`)).code).toBe(2);
    expect(seen).toEqual([]);
  });

  it.each([
    ['promoted', 0],
    ['reverted', 1],
    ['inconclusive', 1],
    ['aborted', 1],
    ['watching', 5],
  ] as const)('--wait ends with %s by exit code %i', async (state, code) => {
    const over = { ...canary, state, reason: 'worse in edge.public 4xx' };
    const { run } = await control({
      'policy.apply': applied,
      'policy-canary.status': { canary: over },
    });
    const ended = await run('apply', '-f', '-', '--canary', '--wait');
    expect(ended.code).toBe(code);
    expect(ended.out).toMatch(/\+1s +watching +its agents have it/);
    if (code === 1) expect(ended.error).toContain(`r9 is ${state}: worse in edge.public 4xx`);
  });

  it('--wait notices that another one has taken its place', async () => {
    const { run } = await control({
      'policy.apply': applied,
      'policy-canary.status': { canary: { ...canary, id: 'r9-y', author: 'bob' } },
    });
    const { code, error } = await run('apply', '-f', '-', '--canary', '--wait');
    expect([code, error]).toEqual([1, 'weir: r9 of bob has taken its place\n']);
  });

  it('--wait gives a script one document', async () => {
    const over = { ...canary, state: 'promoted' };
    const { run } = await control({
      'policy.apply': applied,
      'policy-canary.status': { canary: over },
    });
    const { out } = await run('apply', '-f', '-', '--canary', '--wait', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ canary: { state: 'promoted', revision: 9 } });
  });

  it('--dry-run begins nothing', async () => {
    const { run, seen } = await control({ 'policy.apply': { ...applied, dryRun: true } });
    await run('apply', '-f', '-', '--canary', '--dry-run');
    expect(seen[0]?.request).not.toHaveProperty('canary');
  });
});

describe('weir policy-canary', () => {
  it('shows both sides, the evidence and the way so far', async () => {
    const { run } = await control({ 'policy-canary.status': { canary } });
    const { out } = await run('policy-canary', 'status');
    expect(out).toMatch(/r9 +by alice +watching +books/);
    expect(out).toMatch(
      /edge\.public +cohort +400 +60 +1 +4\.0ms +12\.0ms +0\.50 of 300 +7\.00 of 20/,
    );
    expect(out).toMatch(/rest +3600/);
    expect(out).toMatch(/\+0ms +spreading +sent to edge-3/);
  });

  it('says when there has never been one', async () => {
    const { run } = await control({ 'policy-canary.status': {} });
    expect((await run('policy-canary', 'status')).out).toBe('no policy canary\n');
  });

  it.each([
    ['promoted', 0],
    ['reverted', 1],
  ] as const)('ends its watch when it is %s, with exit code %i', async (state, code) => {
    const { run } = await control({ 'policy-canary.status': { canary: { ...canary, state } } });
    expect((await run('policy-canary', 'status', '--watch')).code).toBe(code);
  });

  it.each(['promote', 'abort'] as const)('%s carries the reason', async (verb) => {
    const { run, seen } = await control({ [`policy-canary.${verb}`]: { canary } });
    expect((await run('policy-canary', verb, '--reason', 'I know it')).code).toBe(0);
    expect(seen[0]).toMatchObject({
      operation: `policy-canary.${verb}`,
      request: { reason: 'I know it' },
    });
  });

  it('fails as control says', async () => {
    const refused = new Refused(409, 'ERR_CANARY_STATE');
    const { run } = await control({ 'policy-canary.abort': refused });
    const { code, error } = await run('policy-canary', 'abort');
    expect(code).toBe(1);
    expect(error).toContain('ERR_CANARY_STATE');
  });
});
