import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceBreaker, breakerMachine, readBreakerState } from '#engine/machines/breaker.ts';
import { elect } from '#engine/machines/breaker-quorum.ts';
import {
  type BreakerEvent,
  type BreakerPhase,
  type BreakerState,
  breakerPhases,
  type Peers,
} from '#engine/machines/breaker-types.ts';

const target = 'bibby/catalog-service@v1.0/10.0.0.1:80';
const peers: Peers = {
  endpoints: 4,
  open: 0,
  well: 3,
  ill: 0,
  agents: ['a', 'b', 'c'],
  bystanders: 0,
};
const amongOthers = { peers: { ...peers, bystanders: 2 } };

const report = (
  agent: string,
  requests: number,
  failures: number,
  rest: Partial<Extract<BreakerEvent, { type: 'report' }>> = {},
): BreakerEvent => ({ type: 'report', agent, requests, failures, nowMs: 1000, peers, ...rest });
const tick = (nowMs: number, others: Peers = peers): BreakerEvent => ({
  type: 'tick',
  nowMs,
  peers: others,
});
const hand = { by: 'alice', why: 'to see' };

const run = (events: readonly BreakerEvent[], start?: BreakerState): BreakerState => {
  let state = start;
  for (const event of events) state = advanceBreaker(state, target, event).state;
  if (!state) throw new Error('no event');
  return state;
};
const decisions = (state: BreakerState | undefined, event: BreakerEvent) =>
  advanceBreaker(state, target, event).effects.flatMap((effect) =>
    effect.type === 'breaker' ? [effect.body] : [],
  );

const ways: Readonly<Record<BreakerPhase, readonly BreakerEvent[]>> = {
  closed: [tick(0)],
  open: [report('a', 20, 20)],
  halfOpen: [report('a', 20, 20), tick(31_000)],
};
const inPhase = (phase: BreakerPhase): BreakerState => run(ways[phase]);
const prober = inPhase('halfOpen').context.prober ?? '';
const other = ['a', 'b', 'c'].find((agent) => agent !== prober) ?? '';
const late = 32_000;

const events: Readonly<Record<string, BreakerEvent>> = {
  'good report': report(prober, 10, 0, { nowMs: late }),
  'one good request': report(prober, 1, 0, { nowMs: late }),
  'bad report': report(prober, 10, 10, { nowMs: late }),
  'bad, of another': report(other, 10, 10, { nowMs: late }),
  tick: tick(late),
  'tick much later': tick(70_000),
  forceOpen: { type: 'forceOpen', nowMs: late, ...hand },
  forceClose: { type: 'forceClose', nowMs: late, ...hand },
};
const table: readonly (readonly [string, BreakerPhase, BreakerPhase, BreakerPhase])[] = [
  ['good report', 'closed', 'open', 'closed'],
  ['one good request', 'closed', 'open', 'halfOpen'],
  ['bad report', 'open', 'open', 'open'],
  ['bad, of another', 'open', 'open', 'halfOpen'],
  ['tick', 'closed', 'halfOpen', 'halfOpen'],
  ['tick much later', 'closed', 'halfOpen', 'halfOpen'],
  ['forceOpen', 'open', 'open', 'open'],
  ['forceClose', 'closed', 'closed', 'closed'],
];
const cells = table.flatMap(([event, ...after]) =>
  breakerPhases.map((before, at) => ({ event, before, after: after[at] })),
);

describe('every phase of a breaker meets every event', () => {
  it('leaves none out', () => {
    expect(Object.keys(breakerMachine.states).sort()).toEqual([...breakerPhases].sort());
    expect(table.map(([event]) => event)).toEqual(Object.keys(events));
    const types = new Set(Object.values(events).map(({ type }) => type));
    expect([...types].sort()).toEqual([...breakerMachine.events].sort());
    for (const phase of breakerPhases) expect(inPhase(phase).phase).toBe(phase);
  });

  it.each(cells)('$before, $event: $after', ({ event, before, after }) => {
    expect(run([events[event] as BreakerEvent], inPhase(before)).phase).toBe(after);
  });
});

describe('a breaker', () => {
  it('opens on the word of the only agent that sends there', () => {
    expect(decisions(undefined, report('a', 10, 10))).toEqual([
      { type: 'breaker', target, state: 'open' },
    ]);
  });

  it('does not open on the word of one while the others have not measured', () => {
    const alone = run([report('a', 10, 10, amongOthers)]);
    expect(alone.phase).toBe('closed');
    const still = run([report('a', 1_000_000, 1_000_000, { nowMs: 2000, ...amongOthers })], alone);
    expect(still.phase).toBe('closed');
    expect(run([report('b', 1, 0, amongOthers)], still).phase).toBe('closed');
    const second = report('b', 1, 1, { nowMs: 2100, ...amongOthers });
    expect(decisions(still, second)).toEqual([{ type: 'breaker', target, state: 'open' }]);
  });

  it('does not open on too little', () => {
    expect(run([report('a', 4, 4)]).phase).toBe('closed');
    expect(run([report('a', 2, 2), report('b', 2, 2)]).phase).toBe('closed');
    expect(run([report('a', 100, 49)]).phase).toBe('closed');
  });

  it('does not open because of one liar, however loud', () => {
    const honest = [report('b', 20, 0), report('c', 25, 0)];
    expect(run([...honest, report('a', 1_000_000, 1_000_000)]).phase).toBe('closed');
    expect(run([report('b', 10, 0), report('a', 1_000_000, 1_000_000)]).phase).toBe('closed');
    expect(run([report('b', 1, 0), report('a', 1_000_000, 1_000_000)]).phase).toBe('closed');
  });

  it('opens on what many saw a little of', () => {
    const each = ['a', 'b', 'c', 'd', 'e'].map((agent) => report(agent, 1, 1));
    expect(run(each).phase).toBe('open');
    expect(run(each.slice(1)).phase).toBe('closed');
  });

  it('does not let better days excuse', () => {
    const well = report('a', 90, 0, { nowMs: 0 });
    expect(run([well, report('a', 10, 10, { nowMs: 2000 })]).phase).toBe('open');
    expect(run([well, report('a', 30, 10, { nowMs: 2000 })]).phase).toBe('closed');
  });

  it('opens when most of those that measured accuse', () => {
    const state = run([report('c', 25, 0), report('b', 20, 19), report('a', 30, 30)]);
    expect(state.phase).toBe('open');
    expect(state.context.reason).toBe('49 of 50 requests failed, seen by 2 of 3 agents');
  });

  it('forgets what is older than the window', () => {
    expect(run([report('a', 4, 4, { nowMs: 0 }), report('a', 4, 4, { nowMs: 11_000 })]).phase).toBe(
      'closed',
    );
    expect(run([report('a', 4, 4, { nowMs: 0 }), report('a', 4, 4, { nowMs: 9000 })]).phase).toBe(
      'open',
    );
  });

  it('stays closed while the whole upstream is ill', () => {
    const brownout = { ...peers, well: 1, ill: 2 };
    expect(run([report('a', 50, 50, { peers: brownout })]).phase).toBe('closed');
  });

  it('stays closed when half of the endpoints are open, or it is the last', () => {
    for (const crowd of [
      { ...peers, open: 2, well: 1 },
      { ...peers, endpoints: 1, well: 0 },
      { ...peers, endpoints: 2, open: 1, well: 0 },
    ])
      expect(run([report('a', 50, 50, { peers: crowd })]).phase).toBe('closed');
  });

  it('lets one agent probe, and says which', () => {
    const open = inPhase('open');
    expect(decisions(open, tick(30_999))).toEqual([]);
    expect(decisions(open, tick(31_000))).toEqual([
      { type: 'breaker', target, state: 'halfOpen', prober },
    ]);
    expect(decisions(inPhase('halfOpen'), tick(31_500))).toEqual([]);
  });

  it('begins with another prober when it has opened again', () => {
    const half = inPhase('halfOpen');
    const failed = run([report(prober, 1, 1, { nowMs: late })], half);
    expect(failed.phase).toBe('open');
    const again = run([tick(late + 60_000)], failed);
    expect(again.phase).toBe('halfOpen');
    expect(again.context.prober).not.toBe(prober);
  });

  it('elects another prober when the first is lost or silent', () => {
    const half = inPhase('halfOpen');
    const agents = peers.agents.filter((agent) => agent !== prober);
    const lost = run([tick(31_500, { ...peers, agents })], half);
    expect(agents).toContain(lost.context.prober);
    const silent = run([tick(41_000)], half);
    expect(silent.context.prober).not.toBe(prober);
  });

  it('waits twice as long after every failed probe, up to its maximum', () => {
    let state = inPhase('open');
    const waits: number[] = [];
    let nowMs = 1000;
    for (let round = 0; round < 6; round += 1) {
      const opened = nowMs;
      while (state.phase === 'open') {
        nowMs += 1000;
        state = run([tick(nowMs)], state);
      }
      waits.push((nowMs - opened) / 1000);
      state = run([report(state.context.prober ?? '', 1, 1, { nowMs: nowMs })], state);
    }
    expect(waits).toEqual([30, 60, 120, 240, 300, 300]);
  });

  it('closes after enough successes of the prober in a row', () => {
    const once = run([report(prober, 2, 0, { nowMs: late })], inPhase('halfOpen'));
    expect(once.phase).toBe('halfOpen');
    expect(decisions(once, report(prober, 1, 0, { nowMs: late }))).toEqual([
      { type: 'breaker', target, state: 'closed' },
    ]);
  });

  it('forgives after a quiet time', () => {
    const closed = run([report(prober, 3, 0, { nowMs: late })], inPhase('halfOpen'));
    expect(run([tick(late + 1000)], closed).context.openings).toBe(1);
    expect(run([tick(late + 300_000)], closed).context.openings).toBe(0);
  });

  it('tells who forced it', () => {
    const { reason } = run([{ type: 'forceOpen', nowMs: 5, ...hand }]).context;
    expect(reason).toBe('opened by alice: to see');
  });

  it('survives being written and read', () => {
    for (const phase of breakerPhases) {
      const state = inPhase(phase);
      expect(readBreakerState(JSON.parse(JSON.stringify(state)))).toEqual(
        JSON.parse(JSON.stringify(state)),
      );
    }
    expect(readBreakerState({ v: 1, phase: 'ajar' })).toBeUndefined();
    expect(readBreakerState(undefined)).toBeUndefined();
  });
});

describe('the quorum', () => {
  const count = fc.integer({ min: 1, max: 200 });

  it('never opens on one word against that of all others', () => {
    const honest = fc.array(fc.record({ requests: count, nowMs: fc.nat(9000) }), {
      minLength: 1,
      maxLength: 8,
    });
    const lies = fc.array(fc.record({ requests: count, nowMs: fc.nat(500) }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(honest, lies, (truth, lie) => {
        const well = truth
          .toSorted((a, b) => a.nowMs - b.nowMs)
          .map(({ requests, nowMs }, at) => report(`honest${at}`, requests, 0, { nowMs }));
        const bad = lie.map(({ requests, nowMs }) =>
          report('liar', requests, requests, { nowMs: 9000 + nowMs }),
        );
        expect(run([...well, ...bad]).phase).toBe('closed');
      }),
      { seed: 1 },
    );
  });

  it('lets a lone word hold where the others found the same before', () => {
    const seen = [report('b', 2, 2, { nowMs: 0 }), report('a', 9, 9, { nowMs: 5000 })];
    expect(run(seen).phase).toBe('open');
  });

  it('opens when all that measured saw nothing but failures', () => {
    fc.assert(
      fc.property(fc.array(count, { minLength: 1, maxLength: 8 }), (seen) => {
        const total = seen.reduce((sum, one) => sum + one, 0);
        const state = run(seen.map((requests, at) => report(`a${at}`, requests, requests)));
        expect(state.phase).toBe(total >= 5 ? 'open' : 'closed');
      }),
      { seed: 1 },
    );
  });

  it('is not swayed by one liar beside one who was merely unlucky', () => {
    const seen = [report('b', 1, 1), report('c', 1, 0), report('a', 1000, 1000)];
    expect(run(seen).phase).toBe('closed');
  });
});

describe('the election', () => {
  it('names the same agent whoever asks and moves through all of them', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1 }), (agents) => {
        const winners = agents.map((_, at) => elect(agents, target, at));
        expect(new Set(winners)).toEqual(new Set(agents));
        expect(elect([...agents].reverse(), target, 0)).toBe(winners[0]);
      }),
      { seed: 1 },
    );
    expect(elect([], target, 0)).toBeUndefined();
  });
});
