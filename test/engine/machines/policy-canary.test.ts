import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advancePolicyCanary,
  chooseCohort,
  isUnderWay,
  type PolicyCanaryEvent,
  type PolicyCanaryState,
  policyCanaryMachine,
  readPolicyCanaryState,
  startPolicyCanary,
} from '#engine/machines/policy-canary.ts';
import {
  type CohortVerdict,
  type PolicyCanaryPhase,
  policyCanaryPhases,
} from '#engine/model/policy-canary.ts';

const verdict = (outcome: CohortVerdict['outcome'], nowMs = 5000): PolicyCanaryEvent => ({
  type: 'verdict',
  nowMs,
  verdict: { outcome, reason: `it is ${outcome}`, culprits: ['edge.public 4xx'], scopes: [] },
});
const who = { by: 'alice', why: 'to see' };
const enforced: PolicyCanaryEvent = { type: 'enforced', nowMs: 2000 };
const abort: PolicyCanaryEvent = { type: 'abort', nowMs: 5000, ...who };
const lost: PolicyCanaryEvent = { type: 'lost', nowMs: 5000, agent: 'edge-1', why: 'has left' };

const begin = () =>
  startPolicyCanary({
    id: 'r9-x',
    revision: 9,
    author: 'alice',
    cohorts: { 'edge.public': ['edge-1'] },
    sizes: { 'edge.public': 10 },
    startedMs: 1000,
    deadlineMs: 601_000,
  });
const run = (events: readonly PolicyCanaryEvent[]): PolicyCanaryState =>
  events.reduce((state, event) => advancePolicyCanary(state, event).state, begin().state);

const ways: Readonly<Record<PolicyCanaryPhase, readonly PolicyCanaryEvent[]>> = {
  spreading: [],
  watching: [enforced],
  promoting: [enforced, verdict('pass')],
  promoted: [enforced, verdict('pass'), { type: 'committed', nowMs: 6000 }],
  reverted: [enforced, verdict('fail')],
  inconclusive: [enforced, { type: 'tick', nowMs: 601_000 }],
  aborted: [abort],
};
const events: Readonly<Record<string, PolicyCanaryEvent>> = {
  tick: { type: 'tick', nowMs: 5000 },
  'tick at 31 s': { type: 'tick', nowMs: 31_000 },
  'last tick': { type: 'tick', nowMs: 601_000 },
  enforced,
  fail: verdict('fail'),
  pass: verdict('pass'),
  'not yet': verdict('inconclusive'),
  silence: verdict('error'),
  rejected: { type: 'rejected', nowMs: 5000, agent: 'edge-1', why: 'cannot enforce it' },
  lost,
  unfit: { type: 'unfit', nowMs: 5000, why: 'it cannot be read' },
  superseded: { type: 'superseded', nowMs: 5000, revision: 9, author: 'bob' },
  committed: { type: 'committed', nowMs: 5000 },
  promote: { type: 'promote', nowMs: 5000, ...who },
  abort,
};
/** What follows in each phase: `.` stays, `!` is refused. */
const table = `
              spreading  watching      promoting  promoted  reverted  inconclusive  aborted
tick          .          .             .          .         .         .             .
tick at 31 s  reverted   .             .          .         .         .             .
last tick     reverted   inconclusive  .          .         .         .             .
enforced      watching   .             .          .         .         .             .
fail          .          reverted      .          .         .         .             .
pass          .          promoting     .          .         .         .             .
not yet       .          .             .          .         .         .             .
silence       .          .             .          .         .         .             .
rejected      reverted   reverted      .          .         .         .             .
lost          reverted   reverted      .          .         .         .             .
unfit         reverted   reverted      reverted   .         .         .             .
superseded    reverted   reverted      reverted   .         .         .             .
committed     promoted   promoted      promoted   .         .         .             .
promote       promoting  promoting     !          !         !         !             !
abort         aborted    aborted       !          !         !         !             !
`;
const [head = '', ...rows] = table.trim().split('\n');
const phases = head.trim().split(/\s+/) as PolicyCanaryPhase[];
const named = rows.map(
  (row) => [row.slice(0, 14).trim(), row.slice(14).trim().split(/\s+/)] as const,
);
const cells = named.flatMap(([event, after]) =>
  after.map((cell, at) => ({ event, before: phases[at] as PolicyCanaryPhase, after: cell })),
);

describe('every phase of a policy canary meets every event', () => {
  it('leaves none out', () => {
    expect([...phases].sort()).toEqual([...policyCanaryPhases].sort());
    expect(Object.keys(policyCanaryMachine.states).sort()).toEqual([...policyCanaryPhases].sort());
    expect(named.map(([event]) => event)).toEqual(Object.keys(events));
    const types = new Set(Object.values(events).map(({ type }) => type));
    expect([...types].sort()).toEqual([...policyCanaryMachine.events].sort());
    for (const phase of phases) expect(run(ways[phase]).phase).toBe(phase);
  });

  it.each(cells)('$before, $event: $after', ({ event, before, after }) => {
    const state = run(ways[before]);
    const {
      state: next,
      refused,
      effects,
    } = advancePolicyCanary(state, events[event] as PolicyCanaryEvent);
    expect(next.phase).toBe(after === '.' || after === '!' ? before : after);
    expect(refused !== undefined).toBe(after === '!');
    if (after === '!') expect(effects).toEqual([]);
  });
});

describe('a policy canary', () => {
  const types = (state: PolicyCanaryState, event: PolicyCanaryEvent) =>
    advancePolicyCanary(state, event).effects.map((effect) =>
      effect.type === 'event' ? effect.event : effect.type,
    );

  it('says each step once, and what is to be done about it', () => {
    expect(begin().effects).toMatchObject([{ event: 'policyCanary.started' }]);
    expect(types(run([]), enforced)).toEqual(['policyCanary.watching', 'watch']);
    expect(types(run([enforced]), verdict('pass'))).toEqual(['policyCanary.promoting', 'commit']);
    expect(types(run([enforced]), verdict('inconclusive'))).toEqual([]);
    expect(types(run(ways.promoting), { type: 'tick', nowMs: 6000 })).toEqual(['commit']);
    expect(types(run(ways.promoting), { type: 'committed', nowMs: 6000 })).toEqual([
      'policyCanary.promoted',
    ]);
    expect(types(run([]), lost)).toEqual(['policyCanary.reverted']);
  });

  it('names the culprits, and who ordered what', () => {
    const reverted = run([enforced, verdict('fail')]).context;
    expect(reverted).toMatchObject({ culprits: ['edge.public 4xx'], reason: 'it is fail' });
    expect(run([abort]).context.reason).toBe('abort by alice: to see');
    expect(run([lost]).context.reason).toBe('edge-1 has left');
    const [said] = advancePolicyCanary(run([enforced]), verdict('fail')).effects;
    expect(said).toMatchObject({ data: { revision: 9, culprits: ['edge.public 4xx'] } });
  });

  it('tells why it could not be decided', () => {
    const over = run([enforced, verdict('inconclusive'), { type: 'tick', nowMs: 601_000 }]);
    expect(over.context.reason).toBe('not decided in 600 s: it is inconclusive');
  });

  it('is read back from JSON, and nothing else is taken for one', () => {
    for (const phase of phases) {
      const state = run(ways[phase]);
      expect(readPolicyCanaryState(JSON.parse(JSON.stringify(state)))).toMatchObject({ phase });
    }
    for (const other of [null, 1, {}, { v: 2 }, { v: 1, phase: 'idle', context: {} }])
      expect(readPolicyCanaryState(other)).toBeUndefined();
  });

  it('is under way until it is decided', () => {
    expect(phases.filter((phase) => isUnderWay(run(ways[phase])))).toEqual([
      'spreading',
      'watching',
      'promoting',
    ]);
  });
});

describe('the cohort of a policy canary', () => {
  const names = (count: number) => Array.from({ length: count }, (_, at) => `edge-${at}`);

  it('is a tenth, or as told, but one at least and never all', () => {
    const size = (count: number, share: { percent?: number; count?: number } = {}) =>
      chooseCohort(names(count), { id: 'a', ...share })?.length;
    expect([2, 10, 30].map((count) => size(count))).toEqual([1, 1, 3]);
    expect(size(10, { percent: 50 })).toBe(5);
    expect(size(10, { percent: 100 })).toBe(9);
    expect(size(10, { count: 3 })).toBe(3);
    expect(size(3, { count: 8 })).toBe(2);
    expect([size(1), size(0)]).toEqual([undefined, undefined]);
  });

  it('is the same for everyone who asks, and another one the next time', () => {
    const agents = names(20);
    fc.assert(
      fc.property(fc.shuffledSubarray(agents, { minLength: 20 }), (shuffled) => {
        expect(chooseCohort(shuffled, { id: 'a' })).toEqual(chooseCohort(agents, { id: 'a' }));
      }),
      { seed: 1, numRuns: 20 },
    );
    const chosen = new Set(
      Array.from({ length: 40 }, (_, at) => chooseCohort(agents, { id: `r${at}` })?.[0]),
    );
    expect(chosen.size).toBeGreaterThan(8);
  });
});
