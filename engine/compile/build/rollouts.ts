// A Rollout in numbers.
import { parseDuration } from '../../model/duration.ts';
import type { RolloutPlan } from '../../model/rollout-plan.ts';
import type { Draft } from '../findings.ts';
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
    steps: spec.steps,
    ramp: spec.ramp,
    minStepMs: parseDuration(spec.minStep),
    minSoakMs: parseDuration(spec.minSoak),
    deadlineMs: parseDuration(spec.deadline),
    onInconclusive: spec.onInconclusive,
    start: spec.start,
    analysis: { ...analysis, warmUpMs: parseDuration(warmUp) },
  };
};
