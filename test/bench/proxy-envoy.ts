// The same work in Envoy's words.
import { ISSUER } from './proxy-configs.ts';

interface EnvoyOptions {
  readonly port: number;
  readonly backend: number;
  readonly tls?: {
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly alpn: readonly string[];
  };
  /** Routes beside the one that is asked for. */
  readonly moreRoutes?: number;
  readonly upstreamHttp2?: boolean;
  readonly webSocket?: boolean;
  /** Public keys of the tokens that the whole chain asks for. */
  readonly jwks?: string;
}

const TYPE = 'type.googleapis.com/envoy.extensions';
const router = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
};

const chainFilters = (jwks: string): readonly object[] => [
  {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': `${TYPE}.filters.http.jwt_authn.v3.JwtAuthentication`,
      providers: {
        bibby: {
          issuer: ISSUER,
          audiences: ['bibby'],
          forward: true,
          local_jwks: { inline_string: jwks },
          payload_in_metadata: 'jwt',
          claim_to_headers: [{ header_name: 'x-user-id', claim_name: 'sub' }],
          jwt_cache_config: { jwt_cache_size: 1000 },
        },
      },
      rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bibby' } }],
    },
  },
  {
    name: 'envoy.filters.http.rbac',
    typed_config: {
      '@type': `${TYPE}.filters.http.rbac.v3.RBAC`,
      rules: {
        action: 'ALLOW',
        policies: {
          readers: {
            permissions: [
              {
                and_rules: {
                  rules: [
                    { header: { name: ':method', string_match: { exact: 'GET' } } },
                    { url_path: { path: { prefix: '/catalog/' } } },
                  ],
                },
              },
            ],
            principals: [
              {
                metadata: {
                  filter: 'envoy.filters.http.jwt_authn',
                  path: [{ key: 'jwt' }, { key: 'role' }],
                  value: { string_match: { exact: 'reader' } },
                },
              },
            ],
          },
        },
      },
    },
  },
  {
    name: 'envoy.filters.http.local_ratelimit',
    typed_config: {
      '@type': `${TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit`,
      stat_prefix: 'calls',
      token_bucket: { max_tokens: 100_000_000, tokens_per_fill: 100_000_000, fill_interval: '60s' },
      filter_enabled: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
      filter_enforced: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
    },
  },
];

const cluster = (name: string, { backend, upstreamHttp2 }: EnvoyOptions): object => ({
  name,
  type: 'STATIC',
  connect_timeout: '5s',
  circuit_breakers: {
    thresholds: [{ max_connections: 8192, max_pending_requests: 8192, max_requests: 8192 }],
  },
  ...(upstreamHttp2 && {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  }),
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [
          {
            endpoint: {
              address: { socket_address: { address: '127.0.0.1', port_value: backend } },
            },
          },
        ],
      },
    ],
  },
});

const routesOf = ({ moreRoutes = 0, jwks }: EnvoyOptions): readonly object[] => [
  ...Array.from({ length: moreRoutes }, (_, i) => ({
    match: { path_separated_prefix: `/service-${i}/v1` },
    route: { cluster: 'v1' },
  })),
  {
    match: { prefix: '/' },
    route:
      jwks === undefined
        ? { cluster: 'v1' }
        : {
            weighted_clusters: {
              clusters: [
                { name: 'v1', weight: 90 },
                { name: 'v2', weight: 10 },
              ],
            },
          },
  },
];

const transport = (tls: NonNullable<EnvoyOptions['tls']>): object => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      alpn_protocols: tls.alpn,
      tls_certificates: [
        {
          certificate_chain: { filename: tls.certificateFile },
          private_key: { filename: tls.keyFile },
        },
      ],
    },
  },
});

/** JSON, which is YAML, too. */
export const envoy = (options: EnvoyOptions): string =>
  JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: { socket_address: { address: '127.0.0.1', port_value: options.port } },
          filter_chains: [
            {
              ...(options.tls && { transport_socket: transport(options.tls) }),
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: 'in',
                    use_remote_address: true,
                    normalize_path: true,
                    merge_slashes: true,
                    http2_protocol_options: { max_concurrent_streams: 1000 },
                    ...(options.webSocket && { upgrade_configs: [{ upgrade_type: 'websocket' }] }),
                    route_config: {
                      request_headers_to_add: [
                        {
                          header: { key: 'x-forwarded-host', value: '%REQ(:AUTHORITY)%' },
                          append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
                        },
                      ],
                      virtual_hosts: [{ name: 'all', domains: ['*'], routes: routesOf(options) }],
                    },
                    http_filters: [
                      ...(options.jwks === undefined ? [] : chainFilters(options.jwks)),
                      router,
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [cluster('v1', options), cluster('v2', options)],
    },
  });
