// Services become upstreams, one per version, and splits that say how traffic is shared among them.
import type { DecisionOf } from '../../model/control-message.ts';
import { parseDuration } from '../../model/duration.ts';
import type { Rollout, Service } from '../../model/resource.ts';
import type {
  OutlierPlan,
  Split,
  SplitChoice,
  Upstream,
  UpstreamEndpoint,
} from '../../model/snapshot.ts';
import type { Workload } from '../../model/telemetry.ts';
import { compareText } from '../findings.ts';

export const serviceKey = ({ metadata }: Pick<Service, 'metadata'>): string =>
  `${metadata.namespace}/${metadata.name}`;

export const upstreamKey = (service: Service, version: string): string =>
  version === '' ? serviceKey(service) : `${serviceKey(service)}@${version}`;

export const baselineOf = ({ spec }: Service): string | undefined =>
  spec.baseline ?? spec.versions[0]?.name;

/** The version on trial: the newest, listed after the baseline. */
const candidateOf = (service: Service): string | undefined => {
  const names = service.spec.versions.map(({ name }) => name);
  const last = names.at(-1);
  return last === baselineOf(service) ? undefined : last;
};

type Labels = Readonly<Record<string, string>>;
const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );

export const isSelected = (service: Service, workload: Workload): boolean =>
  workload.namespace === service.metadata.namespace &&
  hasLabels(workload.labels, service.spec.selector ?? { app: service.metadata.name });

/** Version of the service that the labels belong to; empty if the service has no versions. */
export const versionOf = (service: Service, labels: Labels): string | undefined => {
  const { versions } = service.spec;
  if (versions.length === 0) return '';
  return versions.find((version) => hasLabels(labels, version.labels))?.name;
};

export const upstreamsOf = (
  service: Service,
  workloads: readonly Workload[],
): readonly Upstream[] => {
  const names = service.spec.versions.map(({ name }) => name);
  return (names.length === 0 ? [''] : names).map((version) => ({
    ...upstreamSettings(service, version),
    endpoints: endpointsOf(service, version, workloads),
  }));
};

const endpointsOf = (
  service: Service,
  version: string,
  workloads: readonly Workload[],
): readonly UpstreamEndpoint[] => {
  const found = new Map<string, UpstreamEndpoint>();
  const add = (endpoint: UpstreamEndpoint): void => {
    const key = `${endpoint.address} ${endpoint.port}`;
    if (!found.has(key)) found.set(key, endpoint);
  };
  for (const { address, port, weight, labels, locality } of service.spec.endpoints)
    if (versionOf(service, labels ?? {}) === version)
      add({ address, port: port ?? service.spec.port, weight, ...(locality && { locality }) });
  for (const workload of workloads)
    if (isSelected(service, workload) && versionOf(service, workload.labels) === version)
      for (const { address, port } of workload.endpoints)
        add({ address, port, weight: 1, ...placeOf(workload) });
  return [...found.values()].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
};

const placeOf = ({ locality }: Workload) => (locality === undefined ? {} : { locality });

/** Everything but the endpoints. */
export const upstreamSettings = (
  service: Service,
  version: string,
): Omit<Upstream, 'endpoints'> => {
  const { spec } = service;
  const { policy, hash, slowStart } = spec.loadBalancing;
  return {
    id: upstreamKey(service, version),
    service: serviceKey(service),
    version,
    protocol: spec.protocol,
    loadBalancing: {
      policy,
      ...(hash && { hash: hashPlan(hash) }),
      slowStartMs: slowStart ? parseDuration(slowStart) : 0,
    },
    pool: poolPlan(spec.connectionPool),
    ...(spec.outlierDetection && { outlierDetection: outlierPlan(spec.outlierDetection) }),
    panicThreshold: spec.panicThreshold,
    ...(spec.healthCheck && { healthCheck: healthPlan(spec.healthCheck) }),
    ...(spec.tls && { tls: spec.tls }),
    ...(spec.proxyProtocol && { proxyProtocol: spec.proxyProtocol }),
  };
};

type Spec = Service['spec'];

const hashPlan = (hash: NonNullable<Spec['loadBalancing']['hash']>) => {
  if (hash.header !== undefined) return { by: 'header', name: hash.header.toLowerCase() } as const;
  if (hash.cookie !== undefined) return { by: 'cookie', name: hash.cookie } as const;
  return { by: 'address', name: '' } as const;
};

/** Envoy's defaults; the schema repeats them for a pool that is written down. */
const poolPlan = (pool: Spec['connectionPool']): Upstream['pool'] => ({
  maxConnections: pool?.tcp.maxConnections ?? 1024,
  connectTimeoutMs: parseDuration(pool?.tcp.connectTimeout ?? '5s'),
  maxPendingRequests: pool?.http.http1MaxPendingRequests ?? 1024,
  maxRequests: pool?.http.http2MaxRequests ?? 1024,
  maxRequestsPerConnection: pool?.http.maxRequestsPerConnection ?? 0,
  idleTimeoutMs: parseDuration(pool?.http.idleTimeout ?? '1h'),
});

const outlierPlan = (spec: NonNullable<Spec['outlierDetection']>): OutlierPlan => ({
  consecutive5xxErrors: spec.consecutive5xxErrors,
  consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? 0,
  intervalMs: parseDuration(spec.interval),
  baseEjectionTimeMs: parseDuration(spec.baseEjectionTime),
  maxEjectionTimeMs: parseDuration(spec.maxEjectionTime),
  maxEjectionPercent: spec.maxEjectionPercent,
  minHealthPercent: spec.minHealthPercent,
  shared: spec.scope === 'fleet',
  ...(spec.successRate && { successRate: spec.successRate }),
  ...(spec.failurePercentage && { failurePercentage: spec.failurePercentage }),
});

const healthPlan = (spec: NonNullable<Spec['healthCheck']>) => ({
  type: spec.type,
  path: spec.path,
  intervalMs: parseDuration(spec.interval),
  timeoutMs: parseDuration(spec.timeout),
  unhealthyThreshold: spec.unhealthyThreshold,
  healthyThreshold: spec.healthyThreshold,
  expectedStatuses: spec.expectedStatuses,
});

/** The ways around the weights that a Rollout opens. */
export type WaysAround = Pick<Rollout['spec'], 'override' | 'preview' | 'cohort'>;

/** The baseline has it all, unless a decision says otherwise. */
export const splitOf = (
  service: Service,
  decided: DecisionOf<'split'> | undefined,
  { override, preview, cohort }: WaysAround = {},
): Split => {
  const candidate = candidateOf(service);
  const has = (version: string): boolean =>
    service.spec.versions.some(({ name }) => name === version);
  return {
    service: serviceKey(service),
    choices: choicesOf(service, decided?.weights),
    ...(override &&
      candidate !== undefined && {
        override: {
          header: override.header.toLowerCase(),
          value: override.value,
          version: candidate,
        },
      }),
    ...(preview && candidate !== undefined && { preview: { ...preview, version: candidate } }),
    ...(cohort && {
      cohort: {
        ...cohortMatch(cohort),
        ...(decided?.cohort !== undefined && has(decided.cohort) && { version: decided.cohort }),
      },
    }),
    ...(decided?.mirror && has(decided.mirror.version) && { mirror: decided.mirror }),
  };
};

const cohortMatch = ({ header, cookie, value }: NonNullable<WaysAround['cohort']>) =>
  header === undefined
    ? { by: 'cookie' as const, name: cookie ?? '', value }
    : { by: 'header' as const, name: header.toLowerCase(), value };

const TOTAL = 10_000;

/** What a decision gives to versions that are gone falls to the baseline. */
const choicesOf = (
  service: Service,
  weights: Readonly<Record<string, number>> | undefined,
): readonly SplitChoice[] => {
  const baseline = baselineOf(service);
  const wanted = service.spec.versions.map(({ name }) => ({
    version: name,
    upstream: upstreamKey(service, name),
    weight: weights && Object.hasOwn(weights, name) ? Math.max(0, weights[name] ?? 0) : 0,
  }));
  const given = wanted.reduce((sum, { weight }) => sum + weight, 0);
  if (given > TOTAL) return choicesOf(service, undefined);
  return wanted.map((choice) =>
    choice.version === baseline ? { ...choice, weight: choice.weight + TOTAL - given } : choice,
  );
};
