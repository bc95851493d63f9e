import { describe, expect, it } from 'vitest';
import type { RolloutStatus } from '#engine/model/api.ts';
import { createBoard } from '#services/demo/board.ts';
import { parseOptions } from '#services/demo/options.ts';
import { nextRequest } from '#services/demo/readers.ts';
import { newSteps, rolloutBlock, rolloutLine } from '#services/demo/rollout-lines.ts';
import { createTally, formatTotals, parseTotals } from '#services/demo/tally.ts';

const arm = { requests: 1000, errors: 10, p50Ms: 4, p99Ms: 12 };
const rollout: RolloutStatus = {
  id: 'bibby/catalog',
  service: 'bibby/catalog-service',
  state: 'progressing',
  baseline: 'v1.0',
  canary: 'v1.1',
  weight: 20,
  step: 1,
  steps: [10, 20, 50],
  startedMs: 0,
  stepStartedMs: 0,
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
  },
  arms: { canary: arm, baseline: arm },
  strategy: 'canary',
  exposure: undefined,
  waiting: [],
  approvals: {},
  watchUntilMs: 0,
  history: [
    { atMs: 1000, state: 'started', weight: 10, reason: 'v1.1 appeared' },
    { atMs: 9000, state: 'stepped', weight: 20, reason: 'evidence grows' },
  ],
  standing: [],
};
const readers = { sent: 500, ok: 490, refused: 5, failed: 3, lost: 2, p99Ms: 21 };

describe('the options of npm start', () => {
  it('have sensible defaults', () => {
    expect(parseOptions([])).toEqual({
      until: undefined,
      bad: false,
      traffic: true,
      port: 8080,
      help: false,
    });
  });

  it('are read as documented', () => {
    expect(parseOptions(['--bad', '--until', 'rolledBack', '--port=8081'])).toMatchObject({
      bad: true,
      until: 'rolledBack',
      port: 8081,
    });
    expect(parseOptions(['--no-traffic']).traffic).toBe(false);
  });

  it.each([
    [['--port', 'x'], '--port takes a number'],
    [['--until', 'never'], '--until takes promoted or rolledBack'],
    [['--until', 'promoted', '--no-traffic'], 'Without traffic'],
    [['--nonsense'], 'nonsense'],
    [['extra'], 'extra'],
  ])('%j is refused in one sentence', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('the board', () => {
  const board = (isTTY: boolean) => {
    let written = '';
    const out = { isTTY, columns: 40, write: (text: string) => void (written += text) };
    return { ...createBoard(out), written: () => written };
  };

  it('keeps lines above the block that it redraws', () => {
    const { say, show, written } = board(true);
    show(['one', 'two']);
    say('line');
    expect(written()).toBe('one\ntwo\n\x1b[2A\x1b[Jline\none\ntwo\n');
  });

  it('cuts lines of the block that would wrap', () => {
    const { show, written } = board(true);
    show(['x'.repeat(100)]);
    expect(written()).toBe(`${'x'.repeat(39)}\n`);
  });

  it('prints plain lines only where nobody looks', () => {
    const { say, show, written } = board(false);
    show(['block']);
    say('line');
    expect(written()).toBe('line\n');
  });
});

describe('the rollout in words', () => {
  it('shows weight, both versions and the evidence against its thresholds', () => {
    const text = rolloutBlock(rollout, readers).join('\n');
    expect(text).toContain('20% to v1.1');
    expect(text).toMatch(/v1\.1 +1000 requests +1\.00% errors +p99 +12\.0 ms/);
    expect(text).toContain('e-value 7.00 of 20');
    expect(text).toContain('e-value 0.50 of 100');
    expect(text).toContain('500 requests, 5 failed, 5 refused');
    expect(text).toContain('not enough evidence yet');
  });

  it('fits on one line of a log', () => {
    expect(rolloutLine(rollout, readers)).toBe(
      'progressing weight=20% | v1.0 1000 req 10 err p99 12.0 ms | v1.1 1000 req 10 err p99 12.0 ms | ' +
        'promote e=7.00/20 rollback e=0.50/100 | readers 500 sent, 5 failed',
    );
  });

  it('tells each step once', () => {
    expect(newSteps(rollout, 0)).toHaveLength(2);
    expect(newSteps(rollout, 1000)[0]).toContain('stepped: v1.1 at 20% (evidence grows)');
  });
});

describe('the readers', () => {
  it('mostly ask the catalog, in both forms of its paths', () => {
    let turn = 0;
    const paths = Array.from({ length: 100 }, () => nextRequest(() => (turn++ % 97) / 97).path);
    expect(paths.filter((path) => /catalog|books/.test(path)).length).toBeGreaterThan(60);
    expect(new Set(paths.map((path) => path.split('/')[1]))).toContain('api');
    expect(new Set(paths.map((path) => path.split('/')[1]))).toContain('library');
  });

  it('stay in the table whatever chance says', () => {
    expect(nextRequest(() => 0.999999999).path).toBeTypeOf('string');
  });
});

describe('the tally', () => {
  it('tells apart refused, failed and lost, and survives its own line', () => {
    const tally = createTally();
    for (const status of [200, 404, 500]) tally.answered(status, 10);
    tally.lost();
    const report = tally.report();
    expect(report).toEqual({ sent: 4, ok: 1, refused: 1, failed: 1, lost: 1, p99Ms: 10 });
    expect(parseTotals(formatTotals(report))).toEqual(report);
    expect(parseTotals('something else')).toBeUndefined();
  });

  it('forgets latencies after each report, but no totals', () => {
    const tally = createTally();
    tally.answered(200, 50);
    tally.report();
    tally.answered(200, 1);
    expect(tally.report()).toMatchObject({ sent: 2, p99Ms: 1 });
  });
});
