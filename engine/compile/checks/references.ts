// Follows every name that one resource uses for another. What is not there, or is itself unusable, is reported where it
// is named, and the resource that names it cannot be used either.
import type { DiagnosticCode } from '../../model/diagnostic.ts';
import type { Kind } from '../../model/resource.ts';
import { consumerName } from '../build/policies.ts';
import type { Path } from '../documents/path.ts';
import { didYouMean } from '../documents/suggest.ts';
import type { Drafts } from '../drafts.ts';
import type { AnyDraft, Draft, Findings } from '../findings.ts';

interface Reference<K extends Kind> {
  readonly kind: K;
  readonly namespace: string;
  readonly name: string;
  readonly path: Path;
  readonly code: DiagnosticCode;
}

/** The usable resource, or undefined and a finding. */
const follow = <K extends Kind>(
  from: AnyDraft,
  reference: Reference<K>,
  { drafts, findings }: { readonly drafts: Drafts; readonly findings: Findings },
): Draft<K> | undefined => {
  const { kind, namespace, name, path, code } = reference;
  const found = drafts.find(kind, namespace, name);
  if (found && findings.isGood(found.id)) return found;
  const what = kind.toLowerCase();
  findings.add(from, {
    code,
    path,
    message: found
      ? `the ${what} "${name}" cannot be used because of errors of its own`
      : `there is no ${what} "${name}" in the namespace ${namespace}`,
    hint: found ? `Mend ${found.id} first.` : whereElse(reference, drafts),
  });
  return undefined;
};

const whereElse = ({ kind, namespace, name }: Reference<Kind>, drafts: Drafts): string => {
  const elsewhere = drafts.of(kind).find(({ resource }) => resource.metadata.name === name);
  if (elsewhere)
    return `There is one in the namespace ${elsewhere.resource.metadata.namespace}: name it with "namespace".`;
  const names = drafts
    .of(kind)
    .filter(({ resource }) => resource.metadata.namespace === namespace)
    .map(({ resource }) => resource.metadata.name);
  return didYouMean(name, names, `Apply the ${kind} first, or correct the name.`);
};

interface Context {
  readonly drafts: Drafts;
  readonly findings: Findings;
}

/** Gateways before Routes, Services before both: a resource is judged after those that it names. */
export const checkReferences = (context: Context): void => {
  for (const gateway of context.drafts.of('Gateway')) checkGatewayReferences(gateway, context);
  for (const route of context.drafts.of('Route')) checkRouteReferences(route, context);
  for (const rollout of context.drafts.of('Rollout')) checkRolloutReferences(rollout, context);
};

/** Agents find their gateway, and policies a consumer, by a name that has no namespace in it. */
export const checkNames = (drafts: Drafts, findings: Findings): void => {
  reportShared(drafts.of('Gateway'), ({ resource }) => resource.metadata.name, {
    findings,
    path: ['metadata', 'name'],
    why: 'agents find their gateway by name',
  });
  reportShared(drafts.of('Consumer'), consumerName, {
    findings,
    path: ['spec', 'username'],
    why: 'consumers are known by name',
  });
};

const reportShared = <K extends Kind>(
  drafts: readonly Draft<K>[],
  nameOf: (draft: Draft<K>) => string,
  options: { readonly findings: Findings; readonly path: Path; readonly why: string },
): void => {
  const first = new Map<string, Draft<K>>();
  for (const draft of drafts) {
    const name = nameOf(draft);
    const other = first.get(name);
    if (!other) {
      first.set(name, draft);
      continue;
    }
    options.findings.add(draft, {
      code: 'ERR_RESOURCE_DUPLICATE',
      path: options.path,
      message: `${other.id} has the same name "${name}", and ${options.why}`,
      hint: 'Give one of them another name.',
    });
  }
};

const checkGatewayReferences = (gateway: Draft<'Gateway'>, context: Context): void => {
  const { metadata, spec } = gateway.resource;
  for (const [index, { backend }] of spec.listeners.entries())
    if (backend)
      follow(
        gateway,
        {
          kind: 'Service',
          namespace: backend.namespace ?? metadata.namespace,
          name: backend.service,
          path: ['spec', 'listeners', index, 'backend', 'service'],
          code: 'ERR_POLICY_UNKNOWN_SERVICE',
        },
        context,
      );
};

const checkRouteReferences = (route: Draft<'Route'>, context: Context): void => {
  const { metadata, spec } = route.resource;
  for (const [index, ref] of spec.parentRefs.entries()) {
    const path: Path = ['spec', 'parentRefs', index];
    if (ref.kind === 'Mesh') {
      context.findings.add(route, {
        code: 'ERR_POLICY_NOT_SUPPORTED',
        path: [...path, 'kind'],
        message: 'spec.parentRefs: no data plane enforces Routes of the mesh',
        hint: 'Attach the Route to a Gateway.',
      });
      continue;
    }
    const namespace = ref.namespace ?? metadata.namespace;
    const gateway = follow(
      route,
      {
        kind: 'Gateway',
        namespace,
        name: ref.name,
        path: [...path, 'name'],
        code: 'ERR_POLICY_UNKNOWN_GATEWAY',
      },
      context,
    );
    const names = gateway?.resource.spec.listeners.map(({ name }) => name) ?? [];
    if (gateway && ref.listener !== undefined && !names.includes(ref.listener))
      context.findings.add(route, {
        code: 'ERR_POLICY_UNKNOWN_GATEWAY',
        path: [...path, 'listener'],
        message: `the gateway "${ref.name}" has no listener "${ref.listener}"`,
        hint: didYouMean(ref.listener, names, `Its listeners are ${names.join(', ')}.`),
      });
  }
  for (const [index, rule] of spec.rules.entries()) {
    for (const [place, backend] of (rule.backends ?? []).entries())
      checkBackend(route, backend, ['spec', 'rules', index, 'backends', place], context);
    if (rule.mirror) checkBackend(route, rule.mirror, ['spec', 'rules', index, 'mirror'], context);
  }
};

interface Target {
  readonly service: string;
  readonly namespace?: string;
  readonly version?: string;
}

const checkBackend = (
  route: Draft<'Route'>,
  { service, namespace, version }: Target,
  path: Path,
  context: Context,
): void => {
  const found = follow(
    route,
    {
      kind: 'Service',
      namespace: namespace ?? route.resource.metadata.namespace,
      name: service,
      path: [...path, 'service'],
      code: 'ERR_POLICY_UNKNOWN_SERVICE',
    },
    context,
  );
  if (!found) return;
  if (found.resource.spec.protocol === 'tcp')
    context.findings.add(route, {
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, 'service'],
      message: `the service "${service}" speaks tcp, and a Route sends requests`,
      hint: 'Name it as the backend of a TCP or TLS listener.',
    });
  if (version === undefined) return;
  const versions = found.resource.spec.versions.map(({ name }) => name);
  if (versions.includes(version)) return;
  context.findings.add(route, {
    code: 'ERR_POLICY_UNKNOWN_VERSION',
    path: [...path, 'version'],
    message: `the service "${service}" has no version "${version}"`,
    hint: didYouMean(
      version,
      versions,
      versions.length > 0 ? `Its versions are ${versions.join(', ')}.` : 'It has no versions.',
    ),
  });
};

const checkRolloutReferences = (rollout: Draft<'Rollout'>, context: Context): void => {
  const { metadata, spec } = rollout.resource;
  const service = follow(
    rollout,
    {
      kind: 'Service',
      namespace: metadata.namespace,
      name: spec.service,
      path: ['spec', 'service'],
      code: 'ERR_POLICY_UNKNOWN_SERVICE',
    },
    context,
  );
  if (!service) return;
  if (service.resource.spec.versions.length === 0)
    context.findings.add(rollout, {
      code: 'ERR_POLICY_UNKNOWN_VERSION',
      path: ['spec', 'service'],
      message: `the service "${spec.service}" has no versions to roll out`,
      hint: `Give ${service.id} a list of versions.`,
    });
  const first = context.drafts
    .of('Rollout')
    .find(
      (one) =>
        one.resource.metadata.namespace === metadata.namespace &&
        one.resource.spec.service === spec.service,
    );
  if (first && first !== rollout)
    context.findings.add(rollout, {
      code: 'ERR_FIELD_CONFLICT',
      path: ['spec', 'service'],
      message: `${first.id} rolls out the service "${spec.service}" already`,
      hint: 'Keep one Rollout for a service.',
    });
};
