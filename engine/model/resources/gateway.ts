// Gateway: what an edge listens on, and what it lets in.
import Type from 'typebox';
import { duration, host, name, needs, oneOf, port, strict } from '../schema.ts';

const certificate = strict({
  /** PEM chain, leaf first: inline text, or a file that the agent reads. */
  certificate: Type.Optional(Type.String()),
  certificateFile: Type.Optional(Type.String()),
  key: Type.Optional(Type.String()),
  keyFile: Type.Optional(Type.String()),
  /** Server names this certificate answers; default: the names inside it. */
  serverNames: Type.Optional(Type.Array(host())),
});

const tls = strict({
  mode: oneOf(['Terminate', 'Passthrough'], { default: 'Terminate' }),
  certificates: Type.Array(certificate, { default: [] }),
  minVersion: oneOf(['1.2', '1.3'], { default: '1.2' }),
  alpn: Type.Array(oneOf(['h2', 'http/1.1']), { default: ['h2', 'http/1.1'] }),
  clientCertificate: Type.Optional(
    needs(
      'client-certificates',
      strict({
        mode: oneOf(['none', 'optional', 'required'], { default: 'required' }),
        ca: Type.Optional(Type.String()),
        caFile: Type.Optional(Type.String()),
      }),
    ),
  ),
});

const listener = strict({
  name: name(),
  port: port(),
  address: Type.String({ default: '0.0.0.0' }),
  protocol: Type.Union(
    [
      Type.Literal('HTTP'),
      needs('tls', Type.Literal('HTTPS')),
      needs('tls-passthrough', Type.Literal('TLS')),
      needs('tcp', Type.Literal('TCP')),
    ],
    { default: 'HTTP' },
  ),
  hostname: Type.Optional(host()),
  tls: Type.Optional(needs('tls', tls)),
  /** Answer every plain request with a 308 to the same address under https. */
  redirectToHttps: Type.Optional(needs('https-redirect', Type.Boolean())),
  proxyProtocol: Type.Optional(needs('proxy-protocol', Type.Boolean())),
  /** TCP and TLS pass-through listeners forward to this Service. */
  backend: Type.Optional(
    needs('tcp', strict({ service: name(), namespace: Type.Optional(name()) })),
  ),
});

/** Defaults follow Envoy's edge settings. */
const limits = strict(
  {
    maxHeaderBytes: Type.Integer({ minimum: 1024, maximum: 1048576, default: 61440 }),
    maxHeaders: Type.Integer({ minimum: 1, maximum: 10000, default: 100 }),
    maxTargetBytes: Type.Integer({ minimum: 128, maximum: 65536, default: 8192 }),
    /** From the first byte of a request to the end of its head. */
    headerTimeout: duration({ default: '10s' }),
    /** A keep-alive connection without a request. */
    idleTimeout: duration({ default: '5m' }),
    /** A request or response body without progress. */
    bodyStallTimeout: duration({ default: '30s' }),
    maxRequestsPerConnection: Type.Integer({
      minimum: 0,
      default: 0,
      description: '0 means no limit.',
    }),
    maxConnections: Type.Integer({ minimum: 1, default: 10000 }),
  },
  { default: {} },
);

export const gatewaySpec = strict({
  listeners: Type.Array(listener, { minItems: 1, maxItems: 64 }),
  limits,
  /** Peers whose X-Forwarded-For is believed. Nobody by default. */
  trustedProxies: Type.Array(Type.String({ description: 'CIDR block or address.' }), {
    default: [],
  }),
  path: strict(
    {
      /** Istio's levels. */
      normalization: oneOf(['None', 'Base', 'MergeSlashes', 'DecodeAndMergeSlashes'], {
        default: 'MergeSlashes',
      }),
      encodedSlash: oneOf(['reject', 'keep', 'decode'], { default: 'reject' }),
    },
    { default: {} },
  ),
});
