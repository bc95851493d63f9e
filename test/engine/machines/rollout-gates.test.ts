import { describe, expect, it } from 'vitest';
import {
  advanceRollout,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutState,
} from '#engine/machines/rollout.ts';
import type { HookPlan, RolloutPlan } from '#engine/model/rollout-plan.ts';
import { plan, run, told } from './rollout-fixtures.ts';

const who = { by: 'alice', why: 'looks good' };
const hookOf = (type: HookPlan['type'], more: Partial<HookPlan> = {}): HookPlan => ({
  name: type,
  type,
  url: `http://hooks/${type}`,
  timeoutMs: 1000,
  intervalMs: 5000,
  failureThreshold: 3,
  metadata: {},
  ...more,
});
const pass = { outcome: 'pass', progress: 1 } as const;
const begun: readonly RolloutEvent[] = [
  { type: 'newRevision', canary: 'v1.1', nowMs: 0 },
  { type: 'weightAcked', weight: 0, nowMs: 500 },
];

/** One rollout that is told events and keeps what it said. */
const playing = (of: Partial<RolloutPlan>) => {
  const gated: RolloutPlan = { ...plan, steps: [10, 50], minStepMs: 500, ...of };
  let state: RolloutState = run(begun, undefined, gated);
  let said: readonly RolloutEffect[] = [];
  const tell = (event: RolloutEvent) => {
    const advanced = advanceRollout(state, gated, event);
    ({ state } = advanced);
    said = advanced.effects;
    return { ...advanced, step: state.context.step, phase: state.phase };
  };
  const asks = () => said.flatMap((effect) => (effect.type === 'ask' ? [effect] : []));
  return {
    tell,
    verdict: (nowMs: number, more: object = pass) => tell(told(nowMs, more)),
    answer: (hook: string, ok: boolean, nowMs: number) => {
      const asked = state.context.hooks[hook];
      return tell({ type: 'answered', hook, for: asked?.for ?? '', ok, detail: '', nowMs });
    },
    asked: () => asks().map(({ hook }) => hook.name),
    asks,
    waiting: () => state.context.waiting.map(({ gate }) => gate),
    announced: () => said.flatMap((effect) => (effect.type === 'event' ? [effect.event] : [])),
    context: () => state.context,
  };
};

describe('an approval', () => {
  it('before the start keeps the new version from traffic until somebody agrees', () => {
    const rollout = playing({ approvals: ['start'] });
    expect(rollout.verdict(1000)).toMatchObject({ phase: 'initializing' });
    expect(rollout.waiting()).toEqual(['approval:start']);
    expect(rollout.announced()).toEqual(['rollout.waiting']);
    rollout.verdict(2000);
    expect(rollout.announced()).toEqual([]);
    rollout.tell({ type: 'approve', nowMs: 2500, ...who });
    expect(rollout.announced()).toEqual(['rollout.approved']);
    expect(rollout.context().approvals['start']).toEqual({ ...who, atMs: 2500 });
    expect(rollout.verdict(3000)).toMatchObject({ phase: 'progressing', step: 1 });
  });

  it('is asked for only when the evidence is there', () => {
    const rollout = playing({ approvals: ['promotion'] });
    const early = rollout.tell({ type: 'approve', nowMs: 500, ...who });
    expect(early.refused).toBe('nothing waits for an approval');
    rollout.verdict(1000);
    rollout.verdict(2000);
    expect(rollout.verdict(3000, { progress: 0.9 })).toMatchObject({ phase: 'progressing' });
    expect(rollout.waiting()).toEqual([]);
    rollout.verdict(4000);
    expect(rollout.waiting()).toEqual(['approval:promotion']);
    expect(rollout.context().reason).toMatch(/^waiting: a person to approve the promotion/);
    rollout.tell({ type: 'approve', nowMs: 4500, ...who });
    expect(rollout.verdict(5000)).toMatchObject({ phase: 'promoting' });
  });

  it('is asked for before every step by itself', () => {
    const rollout = playing({ steps: [10, 30, 50], approvals: ['step'] });
    rollout.verdict(1000);
    rollout.verdict(2000);
    expect(rollout.waiting()).toEqual(['approval:step:2']);
    rollout.tell({ type: 'approve', nowMs: 2500, ...who });
    expect(rollout.verdict(3000)).toMatchObject({ step: 2 });
    rollout.verdict(4000);
    expect(rollout.waiting()).toEqual(['approval:step:3']);
  });

  it('that is refused takes the version back, with who and why', () => {
    const rollout = playing({ approvals: ['promotion'] });
    for (const atMs of [1000, 2000, 3000]) rollout.verdict(atMs);
    const { phase } = rollout.tell({ type: 'reject', nowMs: 3500, by: 'bob', why: 'ugly' });
    expect(phase).toBe('rollingBack');
    expect(rollout.announced()).toEqual(['rollout.rejected']);
    expect(rollout.context().reason).toBe('reject by bob: ugly');
  });

  it('holds no rollback back', () => {
    const rollout = playing({ approvals: ['promotion'] });
    for (const atMs of [1000, 2000, 3000]) rollout.verdict(atMs);
    expect(rollout.verdict(4000, { outcome: 'fail' })).toMatchObject({ phase: 'rollingBack' });
  });
});

describe('a schedule', () => {
  const frozen = { timezone: 'UTC', windows: [], freezes: [{ fromMs: 1500, toMs: 60_000 }] };

  it('holds every move but a rollback', () => {
    const rollout = playing({ schedule: frozen });
    expect(rollout.verdict(1000)).toMatchObject({ step: 1 });
    expect(rollout.verdict(2000)).toMatchObject({ step: 1, phase: 'progressing' });
    expect(rollout.waiting()).toEqual(['schedule']);
    expect(rollout.context().reason).toMatch(/^waiting: frozen until/);
    expect(rollout.verdict(60_000)).toMatchObject({ step: 2 });
    const other = playing({ schedule: frozen });
    other.verdict(1000);
    expect(other.verdict(2000, { outcome: 'fail' })).toMatchObject({ phase: 'rollingBack' });
  });
});

describe('minimum requests', () => {
  it('are waited for before the promotion, and the rest is told', () => {
    const rollout = playing({ minRequests: 250 });
    rollout.verdict(1000);
    rollout.verdict(2000);
    expect(rollout.verdict(3000)).toMatchObject({ phase: 'progressing', step: 2 });
    expect(rollout.context().waiting).toEqual([
      {
        gate: 'requests',
        reason: 'not enough requests: 150 more requests needed (100 of 250)',
      },
    ]);
  });
});

describe('a group', () => {
  it('is waited for before the promotion', () => {
    const rollout = playing({ group: 'bibby/library' });
    for (const atMs of [1000, 2000, 3000]) rollout.verdict(atMs);
    expect(rollout.waiting()).toEqual(['group']);
    rollout.tell({ type: 'released', nowMs: 3500 });
    expect(rollout.verdict(4000)).toMatchObject({ phase: 'promoting' });
  });
});

describe('a webhook', () => {
  it('that confirms the start is asked until it agrees', () => {
    const rollout = playing({ hooks: [hookOf('confirm-rollout'), hookOf('pre-rollout')] });
    rollout.verdict(1000);
    expect(rollout.asked()).toEqual(['confirm-rollout']);
    rollout.verdict(2000);
    expect(rollout.asked()).toEqual([]);
    rollout.answer('confirm-rollout', false, 2500);
    rollout.verdict(5999);
    expect(rollout.asked()).toEqual([]);
    rollout.verdict(6000);
    expect(rollout.asked()).toEqual(['confirm-rollout']);
    rollout.answer('confirm-rollout', true, 6500);
    expect(rollout.verdict(7000)).toMatchObject({ phase: 'initializing' });
    expect(rollout.asked()).toEqual(['pre-rollout']);
    rollout.answer('pre-rollout', true, 7500);
    expect(rollout.verdict(8000)).toMatchObject({ phase: 'progressing', step: 1 });
  });

  it('that confirms may refuse for ever, one that tests may not', () => {
    const rollout = playing({ hooks: [hookOf('confirm-rollout'), hookOf('pre-rollout')] });
    for (let atMs = 1000; atMs < 61_000; atMs += 6000) {
      rollout.verdict(atMs);
      rollout.answer('confirm-rollout', false, atMs + 100);
    }
    rollout.verdict(61_000);
    rollout.answer('confirm-rollout', true, 61_100);
    for (const atMs of [62_000, 68_000]) {
      rollout.verdict(atMs);
      expect(rollout.answer('pre-rollout', false, atMs + 100).phase).toBe('initializing');
    }
    rollout.verdict(74_000);
    expect(rollout.answer('pre-rollout', false, 74_100).phase).toBe('rollingBack');
    expect(rollout.announced()).toContain('rollout.rolledBack');
  });

  it('is asked before every increase anew', () => {
    const rollout = playing({ hooks: [hookOf('confirm-traffic-increase')] });
    rollout.verdict(1000);
    expect(rollout.asks().map((ask) => ask.for)).toEqual(['step:1']);
    rollout.answer('confirm-traffic-increase', true, 1100);
    expect(rollout.verdict(2000)).toMatchObject({ step: 1 });
    rollout.verdict(3000);
    expect(rollout.asks().map((ask) => ask.for)).toEqual(['step:2']);
    rollout.answer('confirm-traffic-increase', true, 3100);
    expect(rollout.verdict(4000)).toMatchObject({ step: 2 });
  });

  it('during the analysis is asked again and again, and its refusal holds the step', () => {
    const rollout = playing({ hooks: [hookOf('rollout')] });
    rollout.verdict(1000);
    expect(rollout.asked()).toEqual(['rollout']);
    rollout.answer('rollout', false, 1500);
    expect(rollout.verdict(2000)).toMatchObject({ step: 1 });
    expect(rollout.waiting()).toEqual(['hook:rollout']);
    rollout.verdict(6000);
    expect(rollout.asked()).toEqual(['rollout']);
    rollout.answer('rollout', true, 6500);
    expect(rollout.verdict(7000)).toMatchObject({ step: 2 });
    rollout.verdict(11_000, { progress: 0.5 });
    expect(rollout.asked()).toEqual(['rollout']);
  });

  it('that orders a rollback gets it, paused or not', () => {
    const rollout = playing({ hooks: [hookOf('rollback')] });
    rollout.verdict(1000);
    rollout.answer('rollback', false, 1500);
    rollout.tell({ type: 'pause', nowMs: 2000, ...who });
    rollout.tell({ type: 'tick', nowMs: 7000 });
    expect(rollout.asked()).toEqual(['rollback']);
    expect(rollout.answer('rollback', true, 7500).phase).toBe('rollingBack');
  });

  it('after the rollout is asked once, answered or not', () => {
    const rollout = playing({ hooks: [hookOf('post-rollout')] });
    rollout.tell({ type: 'promote', nowMs: 1000, ...who });
    rollout.tell({ type: 'weightAcked', weight: 100, nowMs: 1500 });
    rollout.tell({ type: 'tick', nowMs: 2000 });
    expect(rollout.asks()).toMatchObject([{ phase: 'Succeeded' }]);
    rollout.tell({ type: 'tick', nowMs: 3000 });
    expect(rollout.asked()).toEqual([]);
    rollout.answer('post-rollout', false, 3500);
    rollout.tell({ type: 'tick', nowMs: 30_000 });
    expect(rollout.asked()).toEqual([]);
  });

  it('that never answers is asked again', () => {
    const rollout = playing({ hooks: [hookOf('confirm-promotion')] });
    for (const atMs of [1000, 2000, 3000]) rollout.verdict(atMs);
    expect(rollout.asked()).toEqual(['confirm-promotion']);
    rollout.verdict(8999);
    expect(rollout.asked()).toEqual([]);
    const [first] = [rollout.context().hooks['confirm-promotion']?.answers];
    rollout.verdict(9000);
    expect(rollout.asks()).toMatchObject([{ question: first, for: 'promotion' }]);
    rollout.answer('confirm-promotion', false, 9500);
    rollout.verdict(15_000);
    expect(rollout.asks()).toMatchObject([{ question: 1 }]);
  });

  it('is not asked while a person has not agreed', () => {
    const rollout = playing({ hooks: [hookOf('confirm-rollout')], approvals: ['start'] });
    rollout.verdict(1000);
    expect([rollout.waiting(), rollout.asked()]).toEqual([['approval:start'], []]);
    rollout.tell({ type: 'approve', nowMs: 1500, ...who });
    rollout.verdict(2000);
    expect(rollout.asked()).toEqual(['confirm-rollout']);
  });

  it('has no say about the next trial by what it said about this one', () => {
    const rollout = playing({ hooks: [hookOf('confirm-rollout')] });
    rollout.verdict(1000);
    rollout.answer('confirm-rollout', true, 1500);
    rollout.tell({ type: 'newRevision', canary: 'v1.2', nowMs: 2000 });
    rollout.tell({ type: 'weightAcked', weight: 0, nowMs: 2500 });
    rollout.verdict(3000, { canary: 'v1.2' });
    expect(rollout.asked()).toEqual(['confirm-rollout']);
  });
});
