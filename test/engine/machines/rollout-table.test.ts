import { describe, expect, it } from 'vitest';
import {
  advanceRollout,
  type RolloutEvent,
  type RolloutState,
  rolloutMachine,
} from '#engine/machines/rollout.ts';
import { type RolloutPhase, rolloutPhases } from '#engine/machines/rollout-types.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import { plan, run, told, ways } from './rollout-fixtures.ts';

const who = { by: 'alice', why: 'to see' };
const late = 20_000;
const answered = (hook: string, about: string, ok: boolean): RolloutEvent => ({
  type: 'answered',
  hook,
  for: about,
  ok,
  detail: '500',
  nowMs: late,
});

/** As in the others, but with hooks that were asked and a watch after the promotion. */
const hook = {
  url: 'http://hooks',
  timeoutMs: 1000,
  intervalMs: 5000,
  failureThreshold: 3,
  metadata: {},
};
const watched: RolloutPlan = {
  ...plan,
  watchMs: 300_000,
  hooks: [
    { ...hook, name: 'stop', type: 'rollback' },
    { ...hook, name: 'load', type: 'rollout' },
  ],
};
const askedIn = (phase: RolloutPhase): RolloutState => {
  const state = run(ways[phase], undefined, watched);
  const hooks = {
    stop: { for: 'trial', askedMs: 3000, failures: 0, answers: 0 },
    // It has said no in time, so nothing but the third refusal counts.
    load: { for: 'analysis', askedMs: 3000, answeredMs: 3000, ok: true, failures: 2, answers: 3 },
  };
  return { ...state, context: { ...state.context, hooks } };
};

/** What may come, at a moment when every minimum time is over. */
const events: Readonly<Record<string, (weight: number) => RolloutEvent>> = {
  'another version': () => ({ type: 'newRevision', canary: 'v1.2', nowMs: late }),
  'same version': () => ({ type: 'newRevision', canary: 'v1.1', nowMs: late }),
  'same, by name': () => ({ type: 'newRevision', canary: 'v1.1', nowMs: late, ...who }),
  'former, by name': () => ({ type: 'newRevision', canary: 'v1.0', nowMs: late, ...who }),
  'verdict fail': () => told(late, { outcome: 'fail' }, 200),
  'verdict pass': () => told(late, { outcome: 'pass', progress: 1 }),
  'not enough yet': () => told(late),
  'part of it': () => told(late, { progress: 0.4 }),
  'verdict error': () => told(late, { outcome: 'error' }),
  futile: () => told(late, { futile: true }),
  suspicious: () => told(late, {}, 20),
  'sick baseline': () => told(late, { baselineUnhealthy: true }),
  'foreign verdict': () => told(late, { outcome: 'fail', canary: 'v0.9' }, 200),
  tick: () => ({ type: 'tick', nowMs: late }),
  'tick much later': () => ({ type: 'tick', nowMs: 40_000 }),
  stale: () => ({ type: 'telemetryStale', nowMs: late }),
  acked: (weight) => ({ type: 'weightAcked', weight, nowMs: late }),
  'old ack': () => ({ type: 'weightAcked', weight: 77, nowMs: late }),
  promote: () => ({ type: 'promote', nowMs: late, ...who }),
  abort: () => ({ type: 'abort', nowMs: late, ...who }),
  pause: () => ({ type: 'pause', nowMs: late, ...who }),
  resume: () => ({ type: 'resume', nowMs: late, ...who }),
  retry: () => ({ type: 'retry', nowMs: late, ...who }),
  skip: () => ({ type: 'skip', nowMs: late, ...who }),
  undo: () => ({ type: 'undo', nowMs: late, ...who }),
  approve: () => ({ type: 'approve', nowMs: late, ...who }),
  reject: () => ({ type: 'reject', nowMs: late, ...who }),
  'hook says back': () => answered('stop', 'trial', true),
  'hook says go on': () => answered('stop', 'trial', false),
  'hook fails again': () => answered('load', 'analysis', false),
  'hook is well': () => answered('load', 'analysis', true),
  'old answer': () => answered('stop', 'something else', true),
  released: () => ({ type: 'released', nowMs: late }),
  'peer failed': () => ({ type: 'peerFailed', peer: 'bibby/b', why: 'errors', nowMs: late }),
  'failed too late': () => ({ type: 'peerFailed', peer: 'bibby/b', why: 'errors', nowMs: 400_000 }),
  regressed: () => ({ type: 'regressed', why: 'errors', nowMs: late }),
  'regressed later': () => ({ type: 'regressed', why: 'errors', nowMs: 400_000 }),
};

/** `.` stays, `!` is refused. */
const table = `
                 idle          initializing  progressing   holding       paused        inconclusive  promoting     succeeded     rollingBack   failed
another version  initializing  initializing  initializing  initializing  .             initializing  initializing  initializing  initializing  initializing
same version     initializing  .             .             .             .             .             .             .             .             .
same, by name    initializing  .             .             .             .             .             .             .             .             initializing
former, by name  .             .             .             .             .             .             .             initializing  .             .
verdict fail     .             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   .             .             .
verdict pass     .             progressing   .             progressing   .             .             .             .             .             .
not enough yet   .             progressing   .             progressing   .             .             .             .             .             .
part of it       .             progressing   .             progressing   .             .             .             .             .             .
verdict error    .             .             holding       .             .             .             .             .             .             .
futile           .             progressing   inconclusive  inconclusive  .             .             .             .             .             .
suspicious       .             .             holding       .             .             .             .             .             .             .
sick baseline    .             .             holding       .             .             .             .             .             .             .
foreign verdict  .             .             .             .             .             .             .             .             .             .
tick             .             .             .             .             .             .             .             .             .             .
tick much later  .             .             .             .             .             .             succeeded     .             failed        .
stale            .             .             holding       .             .             .             .             .             .             .
acked            .             .             .             .             .             .             succeeded     .             failed        .
old ack          .             .             .             .             .             .             .             .             .             .
promote          !             promoting     promoting     promoting     promoting     promoting     !             !             !             !
abort            !             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   !             !
pause            !             paused        paused        paused        !             !             !             !             !             !
resume           !             !             !             !             progressing   progressing   !             !             !             !
retry            !             !             !             !             !             !             !             !             !             initializing
skip             !             !             progressing   progressing   !             !             !             !             !             !
undo             !             !             !             !             !             !             rollingBack   rollingBack   !             !
approve          !             !             !             !             !             !             !             !             !             !
reject           !             !             !             !             !             !             !             !             !             !
hook says back   .             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   .             .             .             .
hook says go on  .             .             .             .             .             .             .             .             .             .
hook fails again .             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   .             .             .             .
hook is well     .             .             .             .             .             .             .             .             .             .
old answer       .             .             .             .             .             .             .             .             .             .
released         .             .             .             .             .             .             .             .             .             .
peer failed      .             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   .             .
failed too late  .             rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   rollingBack   .             .             .
regressed        .             .             .             .             .             .             .             rollingBack   .             .
regressed later  .             .             .             .             .             .             .             .             .             .
`;

const [head = '', ...rows] = table.trim().split('\n');
const phases = head.trim().split(/\s+/) as RolloutPhase[];
const cells = rows.flatMap((row) => {
  const event = row.slice(0, 17).trim();
  return row
    .slice(17)
    .trim()
    .split(/\s+/)
    .map((after, at) => ({ event, before: phases[at] as RolloutPhase, after }));
});

describe('every phase meets every event', () => {
  it('leaves none out', () => {
    expect([...phases].sort()).toEqual([...rolloutPhases].sort());
    expect(Object.keys(rolloutMachine.states).sort()).toEqual([...rolloutPhases].sort());
    expect(rows.map((row) => row.slice(0, 17).trim())).toEqual(Object.keys(events));
    const types = new Set(Object.values(events).map((make) => make(0).type));
    expect([...types].sort()).toEqual([...rolloutMachine.events].sort());
  });

  it.each(Object.entries(ways))('%s is reached', (phase, way) => {
    expect(run(way).phase).toBe(phase);
  });

  it.each(cells)('$before, $event: $after', ({ event, before, after }) => {
    const state = askedIn(before);
    const make = events[event];
    if (!make) throw new Error(`no event ${event}`);
    const result = advanceRollout(state, watched, make(state.context.weight));
    expect(result.state.phase).toBe(after === '.' || after === '!' ? before : after);
    expect(result.refused !== undefined).toBe(after === '!');
    if (after === '!') expect(result).toMatchObject({ state, effects: [] });
  });
});
