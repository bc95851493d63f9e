// A Rollout in numbers.
import { parseDuration } from '../../model/duration.ts';
import { parseMoment } from '../../model/moment.ts';
import type { Rollout } from '../../model/resource.ts';
import type { RolloutPlan, SchedulePlan } from '../../model/rollout-plan.ts';
import type { Draft } from '../findings.ts';
import { metricPlan } from './rollout-metrics.ts';
import { baselineOf, serviceKey } from './services.ts';

export const rolloutPlan = (
  { resource: { metadata, spec } }: Draft<'Rollout'>,
  { resource: service }: Draft<'Service'>,
): RolloutPlan => {
  const { warmUp, ...analysis } = spec.analysis;
  return {
    id: `${metadata.namespace}/${metadata.name}`,
    service: serviceKey(service),
    baseline: baselineOf(service) ?? '',
    versions: service.spec.versions.map(({ name }) => name),
    ...strategyOf(spec),
    minStepMs: parseDuration(spec.minStep),
    minSoakMs: parseDuration(spec.minSoak),
    deadlineMs: parseDuration(spec.deadline),
    onInconclusive: spec.onInconclusive,
    start: spec.start,
    analysis: {
      ...analysis,
      warmUpMs: parseDuration(warmUp),
      ...(spec.metrics && { metrics: spec.metrics.map(metricPlan) }),
    },
    watchMs: parseDuration(spec.watch),
    ...(spec.group !== undefined && { group: `${metadata.namespace}/${spec.group}` }),
    ...gatesOf(spec),
  };
};

type Spec = Rollout['spec'];

/** A step of weight 0 is one in which the new version meets traffic in another way. */
const strategyOf = ({ strategy, steps, ramp, mirror }: Spec) => {
  if (strategy === 'canary') return { strategy, steps, ramp };
  if (strategy !== 'mirror') return { strategy, steps: [0], ramp: 'steps' as const };
  const { percent = 100, duration = '60s', minRequests = 100 } = mirror ?? {};
  const plan = { percent, durationMs: parseDuration(duration), minRequests };
  return { strategy, steps: [0, ...steps], ramp: 'steps' as const, mirror: plan };
};

const gatesOf = ({ webhooks, approvals, schedule, minRequests }: Spec) => ({
  ...(webhooks && {
    hooks: webhooks.map(({ timeout, interval, ...hook }) => ({
      ...hook,
      timeoutMs: parseDuration(timeout),
      intervalMs: parseDuration(interval),
    })),
  }),
  ...(approvals && { approvals: approvals.map(({ before }) => before) }),
  ...(schedule && { schedule: schedulePlan(schedule) }),
  ...(minRequests !== undefined && { minRequests }),
});

const schedulePlan = ({
  timezone,
  windows,
  freezes,
}: NonNullable<Spec['schedule']>): SchedulePlan => ({
  timezone,
  windows,
  freezes: freezes.map(({ from, to, reason }) => ({
    fromMs: parseMoment(from) ?? 0,
    toMs: parseMoment(to) ?? 0,
    ...(reason !== undefined && { reason }),
  })),
});
