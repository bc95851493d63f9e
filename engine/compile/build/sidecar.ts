// The snapshot of one sidecar: everything that comes in goes to the application beside it, if policy lets it.
import Value from 'typebox/value';
import type { Gateway } from '../../model/resource.ts';
import { resourceSchemas } from '../../model/resource.ts';
import {
  type Listener,
  localApp,
  type Match,
  type Rule,
  type Upstream,
} from '../../model/snapshot.ts';
import type { Workload } from '../../model/telemetry.ts';
import type { Draft } from '../findings.ts';
import { type Attachments, appliedTo, meshTarget, targetKey } from './attachments.ts';
import { closedAction } from './closed.ts';
import { listenersOf } from './listeners.ts';
import { isSelected, serviceKey, upstreamKey, upstreamSettings, versionOf } from './services.ts';

/** Of all replicas of one workload; their labels may differ in the version only. */
export interface WorkloadGroup {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: readonly Workload[];
}

const INBOUND_PORT = 15006;

let inbound: Listener | undefined;
/** With the defaults of a Gateway's listener. */
const inboundListener = (): Listener => {
  const gateway = Value.Default(resourceSchemas.Gateway, {
    apiVersion: 'weir.dev/v1',
    kind: 'Gateway',
    metadata: { name: 'inbound' },
    spec: { listeners: [{ name: 'inbound', port: INBOUND_PORT }] },
  }) as Gateway;
  const [listener] = listenersOf(gateway);
  if (!listener) throw new Error('the inbound gateway has no listener');
  return listener;
};

export interface SidecarParts {
  readonly listeners: readonly Listener[];
  readonly rule: Rule;
  readonly upstream: Upstream;
}

export const servicesOf = (
  group: WorkloadGroup,
  services: readonly Draft<'Service'>[],
): readonly Draft<'Service'>[] =>
  services.filter(({ resource }) =>
    group.replicas.some((replica) => isSelected(resource, replica)),
  );

/** `services` are those the workload belongs to, in the order of their names; traffic counts for the first. */
export const sidecarParts = (
  group: WorkloadGroup,
  services: readonly Draft<'Service'>[],
  attachments: Attachments,
): SidecarParts => {
  inbound ??= inboundListener();
  const upstream = localUpstream(group, services[0]);
  const applied = appliedTo(attachments, [
    meshTarget,
    ...services.map(({ resource: { metadata } }) =>
      targetKey('Service', metadata.namespace, metadata.name),
    ),
  ]);
  const { authentications, authorizations, quotas, closedBy } = applied;
  const rule: Rule = {
    id: `${upstream.service}/inbound`,
    origin: { resource: services[0]?.id ?? `Service/${group.namespace}/${group.name}` },
    match: everything,
    action:
      closedBy.length > 0
        ? closedAction(closedBy)
        : {
            type: 'forward',
            backends: [{ weight: 1, upstream: upstream.id }],
            timeoutMs: 0, // the caller's deadline rules
          },
    authentications,
    authorizations,
    quotas,
  };
  return { listeners: [inbound], rule, upstream };
};

const everything: Match = {
  path: { type: 'segmentPrefix', value: '/' },
  methods: [],
  headers: [],
  query: [],
  cookies: [],
};

/** Pool and breaker settings of a Service are its callers' business, so none of them is used here. */
const localUpstream = (
  { namespace, name, replicas }: WorkloadGroup,
  draft: Draft<'Service'> | undefined,
): Upstream => {
  const plain = Value.Default(resourceSchemas.Service, {
    metadata: { name: draft?.resource.metadata.name ?? name, namespace },
    spec: { protocol: draft?.resource.spec.protocol },
  }) as Draft<'Service'>['resource'];
  const version = draft ? (versionOf(draft.resource, replicas[0]?.labels ?? {}) ?? '') : '';
  return {
    ...upstreamSettings(plain, version),
    id: upstreamKey(plain, version),
    service: serviceKey(plain),
    endpoints: [localApp],
  };
};
