// Service: a destination, its versions and endpoints, and how to reach them.
import Type from 'typebox';
import { duration, headerName, host, labels, needs, oneOf, port, strict } from '../schema.ts';

const endpoint = strict({
  address: Type.String({ minLength: 1, maxLength: 253, description: 'IP address or DNS name.' }),
  port: Type.Optional(port()),
  weight: Type.Integer({ minimum: 0, maximum: 1000, default: 1 }),
  labels: Type.Optional(labels()),
  locality: Type.Optional(needs('locality', Type.String())),
});

const loadBalancing = strict(
  {
    policy: Type.Union(
      [
        needs('balancer-least-latency', Type.Literal('LeastLatency')),
        needs('balancer-round-robin', Type.Literal('RoundRobin')),
        needs('balancer-least-request', Type.Literal('LeastRequest')),
        needs('balancer-random', Type.Literal('Random')),
        needs('balancer-ring-hash', Type.Literal('RingHash')),
        needs('balancer-maglev', Type.Literal('Maglev')),
      ],
      { default: 'LeastLatency' },
    ),
    /** What RingHash and Maglev hash. Default: the caller's address. */
    hash: Type.Optional(
      strict({
        header: Type.Optional(headerName()),
        cookie: Type.Optional(Type.String()),
        address: Type.Optional(Type.Boolean()),
      }),
    ),
    slowStart: Type.Optional(needs('slow-start', duration())),
  },
  { default: {} },
);

/** Names and meaning as in Istio's DestinationRule. */
const connectionPool = strict({
  tcp: strict(
    {
      maxConnections: Type.Integer({ minimum: 1, default: 1024 }),
      connectTimeout: duration({ default: '5s' }),
    },
    { default: {} },
  ),
  http: strict(
    {
      http1MaxPendingRequests: Type.Integer({ minimum: 0, default: 1024 }),
      http2MaxRequests: Type.Integer({ minimum: 1, default: 1024 }),
      maxRequestsPerConnection: Type.Integer({
        minimum: 0,
        default: 0,
        description: '0 means no limit.',
      }),
      idleTimeout: duration({ default: '1h' }),
    },
    { default: {} },
  ),
});

/** Envoy's meaning: `consecutive5xxErrors` is a run and ejects at once; `interval` is the sweep. */
const outlierDetection = strict({
  consecutive5xxErrors: Type.Integer({
    minimum: 0,
    default: 5,
    description: '0 turns the detector off.',
  }),
  consecutiveGatewayErrors: Type.Optional(Type.Integer({ minimum: 0 })),
  interval: duration({ default: '10s' }),
  baseEjectionTime: duration({ default: '30s' }),
  maxEjectionTime: duration({ default: '300s' }),
  maxEjectionPercent: Type.Integer({ minimum: 0, maximum: 100, default: 10 }),
  minHealthPercent: Type.Integer({ minimum: 0, maximum: 100, default: 0 }),
  successRate: Type.Optional(
    needs(
      'outlier-ratio',
      strict({
        minimumHosts: Type.Integer({ minimum: 1, default: 5 }),
        requestVolume: Type.Integer({ minimum: 1, default: 100 }),
        stdevFactor: Type.Number({ minimum: 0, default: 1.9 }),
      }),
    ),
  ),
  failurePercentage: Type.Optional(
    needs(
      'outlier-ratio',
      strict({
        threshold: Type.Integer({ minimum: 0, maximum: 100, default: 85 }),
        minimumHosts: Type.Integer({ minimum: 1, default: 5 }),
        requestVolume: Type.Integer({ minimum: 1, default: 50 }),
      }),
    ),
  ),
});

const healthCheck = strict({
  type: oneOf(['HTTP', 'TCP', 'GRPC'], { default: 'HTTP' }),
  path: Type.String({ pattern: '^/', default: '/' }),
  interval: duration({ default: '3s' }),
  timeout: duration({ default: '1s' }),
  unhealthyThreshold: Type.Integer({ minimum: 1, default: 3 }),
  healthyThreshold: Type.Integer({ minimum: 1, default: 1 }),
  expectedStatuses: Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), { default: [200] }),
});

export const serviceSpec = strict({
  /** Port that the service listens on, and the default of its endpoints. */
  port: port({ default: 8080 }),
  protocol: Type.Union(
    [
      Type.Literal('http'),
      needs('upstream-http2', Type.Literal('http2')),
      needs('grpc', Type.Literal('grpc')),
      needs('tcp', Type.Literal('tcp')),
    ],
    { default: 'http' },
  ),
  /** Names by which callers in the mesh reach it, beside its own name. */
  hosts: Type.Array(host(), { default: [] }),
  /** Workloads whose announced labels contain all of these belong to the service. Default: `{app: <name>}`. */
  selector: Type.Optional(labels()),
  /** Without versions the service is one undivided pool. */
  versions: Type.Array(
    strict({
      name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' }),
      labels: labels(),
    }),
    { default: [] },
  ),
  /** The version that gets all traffic when nothing else is decided. Default: the first version. */
  baseline: Type.Optional(Type.String()),
  endpoints: Type.Array(endpoint, { default: [], maxItems: 10000 }),
  loadBalancing,
  connectionPool: Type.Optional(needs('connection-pool', connectionPool)),
  outlierDetection: Type.Optional(needs('outlier-detection', outlierDetection)),
  /** Below this share of healthy endpoints all endpoints are used. */
  panicThreshold: Type.Integer({ minimum: 0, maximum: 100, default: 50 }),
  healthCheck: Type.Optional(needs('health-check', healthCheck)),
  tls: Type.Optional(
    needs(
      'upstream-tls',
      strict({
        serverName: Type.Optional(host()),
        ca: Type.Optional(Type.String()),
        caFile: Type.Optional(Type.String()),
        insecureSkipVerify: Type.Boolean({ default: false }),
      }),
    ),
  ),
});
