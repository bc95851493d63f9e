// Service: a destination, its versions and endpoints, and how to reach them.
import Type from 'typebox';
import { localityPattern } from '../locality.ts';
import {
  about,
  duration,
  headerName,
  host,
  labels,
  needs,
  oneOf,
  port,
  strict,
} from '../schema.ts';

const endpoint = strict({
  address: about('IP address or DNS name.', Type.String({ minLength: 1, maxLength: 253 })),
  port: about('Port of this endpoint. Default: the port of the Service.', Type.Optional(port())),
  weight: about(
    'Share of the traffic relative to other endpoints. 0 takes it out.',
    Type.Integer({ minimum: 0, maximum: 1000, default: 1 }),
  ),
  labels: about('Decide which version it belongs to.', Type.Optional(labels())),
  locality: about(
    'Where it stands, as region/zone. Agents prefer endpoints of their own zone, then of their region (WEIR_LOCALITY), if the Service has outlier detection or a health check.',
    Type.Optional(needs('locality', Type.String({ pattern: localityPattern }))),
  ),
});

const loadBalancing = strict(
  {
    policy: about(
      'How to choose an endpoint.',
      Type.Union(
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
    ),
    hash: about(
      "What RingHash and Maglev hash; one of the members. Default: the caller's address.",
      Type.Optional(
        strict({
          header: about('Name of a request header.', Type.Optional(headerName())),
          cookie: about('Name of a cookie.', Type.Optional(Type.String())),
          address: about("The caller's address.", Type.Optional(Type.Boolean())),
        }),
      ),
    ),
    slowStart: about(
      'A new endpoint gets its full share only after so long.',
      Type.Optional(needs('slow-start', duration())),
    ),
  },
  { default: {} },
);

/** Names and meaning as in Istio's DestinationRule. */
const connectionPool = strict({
  tcp: about(
    'Limits of connections.',
    strict(
      {
        maxConnections: about(
          'Open connections to the Service, per agent.',
          Type.Integer({ minimum: 1, default: 1024 }),
        ),
        connectTimeout: about(
          'How long a connection may take to open.',
          duration({ default: '5s' }),
        ),
      },
      { default: {} },
    ),
  ),
  http: about(
    'Limits of requests.',
    strict(
      {
        http1MaxPendingRequests: about(
          'Requests that may wait for a connection; more are answered 503.',
          Type.Integer({ minimum: 0, default: 1024 }),
        ),
        http2MaxRequests: about(
          'Requests under way at the same time.',
          Type.Integer({ minimum: 1, default: 1024 }),
        ),
        maxRequestsPerConnection: about(
          'Requests before a connection is closed. 0 means no limit.',
          Type.Integer({
            minimum: 0,
            default: 0,
          }),
        ),
        idleTimeout: about('How long an unused connection is kept.', duration({ default: '1h' })),
      },
      { default: {} },
    ),
  ),
});

/** Envoy's meaning: `consecutive5xxErrors` is a run and ejects at once; `interval` is the sweep. */
const outlierDetection = strict({
  consecutive5xxErrors: about(
    'So many server errors in a row take an endpoint out at once. 0 turns the detector off.',
    Type.Integer({
      minimum: 0,
      default: 5,
    }),
  ),
  consecutiveGatewayErrors: about(
    'The same for 502, 503 and 504 only. 0 or absent turns it off.',
    Type.Optional(Type.Integer({ minimum: 0 })),
  ),
  interval: about(
    'How often ejected endpoints are looked at, and ratios are judged.',
    duration({ default: '10s' }),
  ),
  baseEjectionTime: about(
    'First ejection lasts so long; each further one is longer by as much.',
    duration({ default: '30s' }),
  ),
  maxEjectionTime: about('No ejection lasts longer.', duration({ default: '300s' })),
  maxEjectionPercent: about(
    'At most this share of the endpoints is out at the same time; one always may be.',
    Type.Integer({ minimum: 0, maximum: 100, default: 10 }),
  ),
  minHealthPercent: about(
    'Below this share of healthy endpoints nobody is ejected.',
    Type.Integer({ minimum: 0, maximum: 100, default: 0 }),
  ),
  scope: about(
    'fleet: what one agent finds is shared, and an endpoint that is bad for most is taken out for all. local: every agent for itself.',
    oneOf(['fleet', 'local'], { default: 'fleet' }),
  ),
  successRate: about(
    'Take out endpoints whose success rate is far below that of the others.',
    Type.Optional(
      needs(
        'outlier-ratio',
        strict({
          minimumHosts: about(
            'Only with so many endpoints that have enough requests.',
            Type.Integer({ minimum: 1, default: 5 }),
          ),
          requestVolume: about(
            'Requests per interval for an endpoint to count.',
            Type.Integer({ minimum: 1, default: 100 }),
          ),
          stdevFactor: about(
            'Standard deviations below the mean.',
            Type.Number({ minimum: 0, default: 1.9 }),
          ),
        }),
      ),
    ),
  ),
  failurePercentage: about(
    'Take out endpoints that fail more than a fixed share.',
    Type.Optional(
      needs(
        'outlier-ratio',
        strict({
          threshold: about(
            'Percent of failures.',
            Type.Integer({ minimum: 0, maximum: 100, default: 85 }),
          ),
          minimumHosts: about(
            'Only with so many endpoints that have enough requests.',
            Type.Integer({ minimum: 1, default: 5 }),
          ),
          requestVolume: about(
            'Requests per interval for an endpoint to count.',
            Type.Integer({ minimum: 1, default: 50 }),
          ),
        }),
      ),
    ),
  ),
});

const healthCheck = strict({
  type: about(
    'HTTP asks for `path`, TCP opens a connection, GRPC asks the health service.',
    oneOf(['HTTP', 'TCP', 'GRPC'], { default: 'HTTP' }),
  ),
  path: about('Path to ask for.', Type.String({ pattern: '^/', default: '/' })),
  interval: about('Between two checks.', duration({ default: '3s' })),
  timeout: about('How long a check may take.', duration({ default: '1s' })),
  unhealthyThreshold: about(
    'Failures in a row that take an endpoint out.',
    Type.Integer({ minimum: 1, default: 3 }),
  ),
  healthyThreshold: about(
    'Successes in a row that bring it back.',
    Type.Integer({ minimum: 1, default: 1 }),
  ),
  expectedStatuses: about(
    'Status codes that count as success.',
    Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), { default: [200] }),
  ),
});

export const serviceSpec = strict({
  port: about(
    'Port that the service listens on, and the default of its endpoints.',
    port({ default: 8080 }),
  ),
  protocol: about(
    'What the service speaks.',
    Type.Union(
      [
        Type.Literal('http'),
        needs('upstream-http2', Type.Literal('http2')),
        needs('grpc', Type.Literal('grpc')),
        needs('tcp', Type.Literal('tcp')),
      ],
      { default: 'http' },
    ),
  ),
  hosts: about(
    'Names by which callers in the mesh reach it, beside its own name.',
    Type.Array(host(), { default: [] }),
  ),
  selector: about(
    'Workloads whose labels contain all of these belong to the service. Default: `app: <name>`.',
    Type.Optional(labels()),
  ),
  versions: about(
    'Versions of the service, oldest first. Without any it is one undivided pool.',
    Type.Array(
      strict({
        name: about(
          'Name of the version.',
          Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' }),
        ),
        labels: about(
          'Workloads and endpoints with all of these labels are of this version.',
          labels(),
        ),
      }),
      { default: [] },
    ),
  ),
  baseline: about(
    'The version that gets all traffic when nothing else is decided. Default: the first.',
    Type.Optional(Type.String()),
  ),
  endpoints: about(
    'Fixed endpoints, beside those of the workloads found by `selector`.',
    Type.Array(endpoint, { default: [], maxItems: 10000 }),
  ),
  loadBalancing: about('How requests are shared among endpoints.', loadBalancing),
  connectionPool: about(
    "Limits towards the service; names and meaning of Istio's DestinationRule.",
    Type.Optional(needs('connection-pool', connectionPool)),
  ),
  outlierDetection: about(
    "When to take an endpoint out for its errors; names and meaning of Envoy's.",
    Type.Optional(needs('outlier-detection', outlierDetection)),
  ),
  panicThreshold: about(
    'Below this percentage of healthy endpoints all of them are used.',
    Type.Integer({ minimum: 0, maximum: 100, default: 50 }),
  ),
  healthCheck: about(
    'Ask every endpoint now and then how it is.',
    Type.Optional(needs('health-check', healthCheck)),
  ),
  tls: about(
    'Encrypt connections to the service.',
    Type.Optional(
      needs(
        'upstream-tls',
        strict({
          serverName: about(
            'Name to ask for and to check. Default: the address.',
            Type.Optional(host()),
          ),
          ca: about(
            'Certificates to trust, as PEM text. Default: those of the system.',
            Type.Optional(Type.String()),
          ),
          caFile: about(
            'File with the certificates to trust, on the machine of the agent: an absolute path, or one from the folder that it was started in.',
            Type.Optional(Type.String()),
          ),
          insecureSkipVerify: about(
            'Accept any certificate. For tests only.',
            Type.Boolean({ default: false }),
          ),
        }),
      ),
    ),
  ),
  proxyProtocol: about(
    'Say who the caller is at the start of every connection, in this version of the PROXY protocol. For protocol tcp.',
    Type.Optional(needs('proxy-protocol', oneOf(['v1', 'v2']))),
  ),
});
