// Documents of other gateways, meshes and rollout tools: whose they are, and what says the same here.
import { show } from './show.ts';

interface Words {
  readonly message: string;
  readonly hint: string;
}

const owners: readonly (readonly [group: RegExp, whose: string])[] = [
  [/(^|\.)istio\.io$/, 'Istio'],
  [/(^|\.)konghq\.com$/, 'Kong'],
  [/^gateway\.networking\.k8s\.io$/, 'Gateway API'],
  [/^(apps|batch|v1|(.*\.)?k8s\.io)$/, 'Kubernetes'],
  [/^flagger\.app$/, 'Flagger'],
  [/^argoproj\.io$/, 'Argo'],
];

const workloads =
  'Weir starts no processes; it finds workloads by the labels that their sidecars announce (WEIR_LABELS).';

/** By kind; what is not here is only said to be foreign. */
const counterparts: ReadonlyMap<string, string> = new Map([
  ['VirtualService', 'Write a Route; weights of versions are a Rollout or `backends`.'],
  ['DestinationRule', 'Write a Service: subsets are its versions, the traffic policy its fields.'],
  ['ServiceEntry', 'Write a Service with endpoints.'],
  ['Gateway', 'Write a Gateway.'],
  ['PeerAuthentication', 'Write a PeerAuthentication.'],
  ['AuthorizationPolicy', 'Write an Authorization.'],
  ['RequestAuthentication', 'Write an Authentication.'],
  ['Ingress', 'Write a Gateway and a Route.'],
  ['HTTPRoute', 'Write a Route.'],
  ['GRPCRoute', 'Write a Route.'],
  [
    'KongPlugin',
    'Write a Quota for rate-limiting, an Authentication for jwt, key-auth and basic-auth, `cors` of a Route for cors.',
  ],
  [
    'KongClusterPlugin',
    'Write a Quota for rate-limiting, an Authentication for jwt, key-auth and basic-auth, `cors` of a Route for cors.',
  ],
  ['KongConsumer', 'Write a Consumer.'],
  ['KongIngress', 'Write a Route and a Service.'],
  ['Canary', 'Write a Rollout.'],
  ['Rollout', 'Write a Rollout for its strategy.'],
  ['AnalysisTemplate', 'Write the `metrics` of a Rollout.'],
  ['Deployment', workloads],
  ['StatefulSet', workloads],
  ['Pod', workloads],
  ['Service', 'Write a Service.'],
]);

const guide = 'docs/coming-from.md shows how.';

/** What to say instead of "not known", or undefined when nobody knows whose it is. */
export const foreignWords = (value: object): Words | undefined => {
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (apiVersion === undefined) return isKongFile(value) ? kongFile : undefined;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return undefined;
  const group = apiVersion.split('/')[0] ?? '';
  const whose = owners.find(([pattern]) => pattern.test(group))?.[1];
  if (whose === undefined) return undefined;
  const article = /^[AEIOU]/.test(kind) ? 'an' : 'a';
  return {
    message: `apiVersion ${show(apiVersion)}: ${article} ${kind} of ${whose} is not read here`,
    hint: `${counterparts.get(kind) ?? `Weir has kinds of its own.`} ${guide}`,
  };
};

const kongFile: Words = {
  message: "apiVersion is missing; this looks like Kong's declarative configuration",
  hint: `Write a Service, a Route, and a Quota or an Authentication for its plugins. ${guide}`,
};

const isKongFile = (value: object): boolean =>
  '_format_version' in value ||
  ['services', 'routes', 'plugins', 'consumers', 'upstreams'].some(
    (key) => key in value && Array.isArray((value as Record<string, unknown>)[key]),
  );
