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

const resource = <K extends Kind>(kind: K) =>
  strict({
    apiVersion: Type.Literal(apiVersion),
    kind: Type.Literal(kind),
    metadata,
    spec: specs[kind],
  });

/** Schema by kind; `Value.Default` fills in defaults, then `Value.Errors` judges. */
export const resourceSchemas = {
  Gateway: resource('Gateway'),
  Service: resource('Service'),
  Route: resource('Route'),
  Authentication: resource('Authentication'),
  Authorization: resource('Authorization'),
  Consumer: resource('Consumer'),
  Quota: resource('Quota'),
  PeerAuthentication: resource('PeerAuthentication'),
  Rollout: resource('Rollout'),
  Plugin: resource('Plugin'),
} as const satisfies { readonly [K in Kind]: unknown };

type Of<K extends Kind> = Static<(typeof resourceSchemas)[K]>;
export type Gateway = Of<'Gateway'>;
export type Service = Of<'Service'>;
export type Route = Of<'Route'>;
export type Authentication = Of<'Authentication'>;
export type Authorization = Of<'Authorization'>;
export type Consumer = Of<'Consumer'>;
export type Quota = Of<'Quota'>;
export type PeerAuthentication = Of<'PeerAuthentication'>;
export type Rollout = Of<'Rollout'>;
export type Plugin = Of<'Plugin'>;
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
export const resourceId = (resource: Pick<Resource, 'kind' | 'metadata'>): ResourceId =>
  `${resource.kind}/${resource.metadata.namespace}/${resource.metadata.name}`;
