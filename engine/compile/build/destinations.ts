// What routes forward to, with the standing decisions about it. Made once per compile and shared by all scopes.
import type { StandingDecision } from '../../model/decision.ts';
import type { Rollout } from '../../model/resource.ts';
import type { Split, Upstream } from '../../model/snapshot.ts';
import type { Workload } from '../../model/telemetry.ts';
import type { Draft } from '../findings.ts';
import { measuresOf } from './rollout-metrics.ts';
import { serviceKey, splitOf, upstreamKey, upstreamsOf, type WaysAround } from './services.ts';

export interface Destination {
  readonly service: Draft<'Service'>;
  readonly upstreams: readonly Upstream[];
  /** Undefined for a service without versions. */
  readonly split: Split | undefined;
  /** Versions that have a share of the traffic but no endpoint; an empty name for a service without versions. */
  readonly missing: readonly string[];
}

export interface DestinationInput {
  readonly workloads: readonly Workload[];
  /** By `namespace/service`. */
  readonly waysAround: ReadonlyMap<string, WaysAround & Pick<Rollout['spec'], 'metrics'>>;
  readonly decisions: ReadonlyMap<string, StandingDecision>;
}

export const destinationOf = (
  service: Draft<'Service'>,
  { workloads, waysAround, decisions }: DestinationInput,
): Destination => {
  const key = serviceKey(service.resource);
  const rollout = waysAround.get(key);
  const measures = measuresOf(rollout?.metrics);
  const upstreams = upstreamsOf(service.resource, workloads).map((upstream) =>
    measures.length === 0 ? upstream : { ...upstream, measures },
  );
  const hasVersions = service.resource.spec.versions.length > 0;
  const body = decisions.get(`split:${key}`)?.body;
  const decided = body?.type === 'split' ? body : undefined;
  const split = hasVersions ? splitOf(service.resource, decided, rollout) : undefined;
  const served = new Set(
    upstreams.filter(({ endpoints }) => endpoints.length > 0).map(({ version }) => version),
  );
  const wanted = split
    ? split.choices.filter(({ weight }) => weight > 0).map(({ version }) => version)
    : [''];
  return { service, upstreams, split, missing: wanted.filter((version) => !served.has(version)) };
};

/** Where a backend points: to the service's split, to one version, or to the undivided service. */
export const backendOf = (
  { service, split }: Destination,
  version: string | undefined,
): { readonly split: string } | { readonly upstream: string } => {
  if (version !== undefined) return { upstream: upstreamKey(service.resource, version) };
  return split
    ? { split: serviceKey(service.resource) }
    : { upstream: serviceKey(service.resource) };
};
