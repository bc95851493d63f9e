// A rollout's persisted state: read back, said again after a restart, and turned into what analysis needs.
import type { RolloutPlan } from '../model/rollout-plan.ts';
import { splitOf } from './rollout-changes.ts';
import {
  type RolloutContext,
  type RolloutEffect,
  type RolloutPhase,
  type RolloutState,
  rolloutPhases,
} from './rollout-types.ts';

type Type = 'string' | 'number' | 'boolean' | 'object';
const shape: Readonly<Partial<Record<keyof RolloutContext, Type>>> = {
  baseline: 'string',
  planBaseline: 'string',
  steps: 'object',
  step: 'number',
  weight: 'number',
  acked: 'boolean',
  startedMs: 'number',
  trafficMs: 'number',
  stepStartedMs: 'number',
  enteredMs: 'number',
  reason: 'string',
  history: 'object',
};

/** A state that no known release wrote stops its own rollout only: the error is a value, in words. */
export const readRolloutState = (
  value: unknown,
): { readonly state: RolloutState } | { readonly error: string } => {
  if (!isRecord(value)) return { error: 'rollout state is not an object' };
  if (value['v'] !== 1 && value['v'] !== 2)
    return { error: `rollout state of version ${String(value['v'])} is not understood` };
  if (!rolloutPhases.includes(value['phase'] as RolloutPhase))
    return { error: `rollout state has the unknown phase ${String(value['phase'])}` };
  const context = value['context'];
  if (!isRecord(context)) return { error: 'rollout state has no context' };
  for (const [field, type] of Object.entries(shape))
    if (typeof context[field] !== type || context[field] === null)
      return { error: `rollout state has no ${field}` };
  return {
    state: { ...value, v: 2, context: { ...added, ...context } } as unknown as RolloutState,
  };
};

/** What version 1 did not have, as it is in a rollout that never used it. */
const added: Partial<RolloutContext> = {
  former: undefined,
  undone: undefined,
  strategy: 'canary',
  exposure: undefined,
  waiting: [],
  approvals: {},
  hooks: {},
  released: false,
  watchUntilMs: 0,
};

const active: ReadonlySet<RolloutPhase> = new Set([
  'initializing',
  'progressing',
  'holding',
  'paused',
  'inconclusive',
  'promoting',
]);

/** Evidence is wanted: samples are observed and verdicts asked for. */
export const isActive = ({ phase }: RolloutState): boolean => active.has(phase);

/** What is decided now, to be said again after a restart; undefined while policy alone decides. */
export const standingSplit = (
  { phase, context }: RolloutState,
  plan: RolloutPlan,
): Extract<RolloutEffect, { type: 'split' }> | undefined => {
  const effect = phase === 'idle' ? undefined : splitOf({ ...context, plan });
  return effect?.type === 'split' ? effect : undefined;
};

/** The facts that a judgement of this rollout at this moment needs. */
export const judgeFacts = ({ context }: RolloutState, nowMs: number) => ({
  nowMs,
  weight: context.exposure === undefined ? context.weight : beside,
  step: context.step,
  stepStartedMs: context.stepStartedMs,
  startedMs: context.step === 0 ? nowMs : context.trafficMs,
});

/** Percent that the evidence is taken to grow by where the new version's share is not decided. */
const beside = 50;

/** What the judge is to take for steps: weights of 0 would look hopeless to it. */
export const judgedSteps = ({ steps }: RolloutPlan): readonly number[] => {
  const weights = steps.filter((weight) => weight > 0);
  return weights.length > 0 ? weights : [beside];
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
