// Documents of other gateways, meshes and rollout tools: whose they are, and what says the same here.
import { apiVersion } from '../../model/resource.ts';
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

const plugins =
  'Write a Quota for rate-limiting, an Authentication for jwt, key-auth and basic-auth, `cors` of a Route for cors.';

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
  ['KongPlugin', plugins],
  ['KongClusterPlugin', plugins],
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

/** What to say about a document whose `apiVersion` is not ours. */
export const foreignWords = (value: object): Words => {
  const { apiVersion: theirs, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (theirs === undefined)
    return isKongFile(value) ? kongFile : { message: 'apiVersion is missing', hint: plainHint };
  const whose = typeof theirs === 'string' ? ownerOf(theirs) : undefined;
  if (whose === undefined || typeof kind !== 'string')
    return { message: `apiVersion ${show(theirs)} is not known`, hint: plainHint };
  const article = /^[AEIOU]/.test(kind) ? 'an' : 'a';
  return {
    message: `apiVersion ${show(theirs)}: ${article} ${kind} of ${whose} is not read here`,
    hint: `${counterparts.get(kind) ?? 'Weir has kinds of its own.'} ${guide}`,
  };
};

const plainHint = `Write "apiVersion: ${apiVersion}".`;

const ownerOf = (theirs: string): string | undefined => {
  const group = theirs.split('/')[0] ?? '';
  return owners.find(([pattern]) => pattern.test(group))?.[1];
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
