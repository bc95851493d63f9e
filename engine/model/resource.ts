// What people write: every kind of policy document, its schema, and the types that follow from it.
import Type, { type Static } from 'typebox';
import { authorizationSpec, consumerSpec, peerAuthenticationSpec } from './resources/access.ts';
import { authenticationSpec } from './resources/authentication.ts';
import { gatewaySpec } from './resources/gateway.ts';
import { pluginSpec } from './resources/plugin.ts';
import { quotaSpec } from './resources/quota.ts';
import { rolloutSpec } from './resources/rollout.ts';
import { routeSpec } from './resources/route.ts';
import { serviceSpec } from './resources/service.ts';
import { about, labels, name, strict } from './schema.ts';

export const apiVersion = 'weir.dev/v1';

const specs = {
  Gateway: gatewaySpec,
  Service: serviceSpec,
  Route: routeSpec,
  Authentication: authenticationSpec,
  Authorization: authorizationSpec,
  Consumer: consumerSpec,
  Quota: quotaSpec,
  PeerAuthentication: peerAuthenticationSpec,
  Rollout: rolloutSpec,
  Plugin: pluginSpec,
} as const;

export type Kind = keyof typeof specs;
export const kinds = Object.keys(specs) as readonly Kind[];

const metadata = strict({
  name: about('Unique among the resources of its kind and namespace.', name()),
  namespace: about(
    'Resources of one namespace find each other by name alone.',
    name({ default: 'default' }),
  ),
  labels: about('For people and tools; Weir does not look at them.', Type.Optional(labels())),
  annotations: about('For people and tools; Weir does not look at them.', Type.Optional(labels())),
});

const resource = <K extends Kind>(kind: K, description: string) =>
  strict(
    {
      apiVersion: about('The version of this format.', Type.Literal(apiVersion)),
      kind: about('What the document is about.', Type.Literal(kind)),
      metadata: about('Who it is.', metadata),
      spec: about('What it says.', specs[kind]),
    },
    { description },
  );

/** Schema by kind; `Value.Default` fills in defaults, then `Value.Errors` judges. */
export const resourceSchemas = {
  Gateway: resource(
    'Gateway',
    'What an edge listens on, and what it lets in. Routes attach to it; the agents of its scope `edge.<name>` open its listeners.',
  ),
  Service: resource(
    'Service',
    'A destination: its versions and endpoints, and how to reach them. Traffic of a Service with versions is shared by its split: all of it goes to the baseline until a Rollout decides otherwise.',
  ),
  Route: resource(
    'Route',
    'Which requests go where, and what happens to them on the way. A request belongs to the rules of the most specific host, and of these to the most specific one: exact path, pattern, longest prefix, method, number of headers, number of query parameters, then name and place. If no rule of its host matches, those of wider hosts are asked.',
  ),
  Authentication: resource(
    'Authentication',
    'How callers prove who they are. Without any, everybody is nobody. While one cannot be enforced, what it protects answers 503.',
  ),
  Authorization: resource(
    'Authorization',
    'What callers may do. Policies of mesh, gateway, listener, route and rule add up. While one cannot be enforced, what it protects answers 503.',
  ),
  Consumer: resource('Consumer', 'A known caller: its credentials, hashed, and its groups.'),
  Quota: resource(
    'Quota',
    'How much a caller may ask for. Quotas of mesh, gateway, listener, route and rule add up.',
  ),
  PeerAuthentication: resource(
    'PeerAuthentication',
    'Whether workloads must talk to each other with certificates.',
  ),
  Rollout: resource(
    'Rollout',
    'How a new version of a Service earns its traffic: step by step, each one with evidence from live requests.',
  ),
  Plugin: resource('Plugin', "A user's filter module, and where it applies."),
} as const satisfies { readonly [K in Kind]: unknown };

type Of<K extends Kind> = Static<(typeof resourceSchemas)[K]>;
export type Gateway = Of<'Gateway'>;
export type Service = Of<'Service'>;
export type Route = Of<'Route'>;
export type Authentication = Of<'Authentication'>;
export type Authorization = Of<'Authorization'>;
export type Consumer = Of<'Consumer'>;
export type Quota = Of<'Quota'>;
type PeerAuthentication = Of<'PeerAuthentication'>;
export type Rollout = Of<'Rollout'>;
type Plugin = Of<'Plugin'>;
/** A document that has passed its schema, defaults filled in. */
export type Resource =
  | Gateway
  | Service
  | Route
  | Authentication
  | Authorization
  | Consumer
  | Quota
  | PeerAuthentication
  | Rollout
  | Plugin;

/** `Kind/namespace/name`: unique in a policy set. */
export type ResourceId = `${Kind}/${string}/${string}`;
