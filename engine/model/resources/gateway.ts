// Gateway: what an edge listens on, and what it lets in.
import Type from 'typebox';
import { about, duration, host, name, needs, oneOf, port, strict } from '../schema.ts';

const certificate = strict({
  certificate: about('Certificate chain as PEM text, leaf first.', Type.Optional(Type.String())),
  certificateFile: about(
    'File with the certificate chain, leaf first, on the machine of the agent: an absolute path, or one from the folder that it was started in.',
    Type.Optional(Type.String()),
  ),
  key: about('Private key as PEM text.', Type.Optional(Type.String())),
  keyFile: about('File with the private key, found in the same way.', Type.Optional(Type.String())),
  serverNames: about(
    'Server names that get this certificate. Default: the names inside it.',
    Type.Optional(Type.Array(host())),
  ),
});

const tls = strict({
  mode: about(
    'Terminate decrypts here; Passthrough forwards the encrypted stream.',
    oneOf(['Terminate', 'Passthrough'], { default: 'Terminate' }),
  ),
  certificates: about(
    'Certificates to choose from by server name.',
    Type.Array(certificate, { default: [] }),
  ),
  minVersion: about('Oldest TLS version to accept.', oneOf(['1.2', '1.3'], { default: '1.2' })),
  alpn: about(
    'Protocols to offer, best first.',
    Type.Array(oneOf(['h2', 'http/1.1']), { default: ['h2', 'http/1.1'] }),
  ),
  clientCertificate: about(
    'Whether callers must show a certificate, and who signs them.',
    Type.Optional(
      needs(
        'client-certificates',
        strict({
          mode: about(
            'none asks for nothing, optional checks what is shown, required insists.',
            oneOf(['none', 'optional', 'required'], { default: 'required' }),
          ),
          ca: about('Certificates that sign callers, as PEM text.', Type.Optional(Type.String())),
          caFile: about(
            'File with the certificates that sign callers, found in the same way.',
            Type.Optional(Type.String()),
          ),
        }),
      ),
    ),
  ),
});

const listener = strict({
  name: about(
    'Name of the listener, unique in the Gateway; `parentRefs` and `targetRefs` use it.',
    name(),
  ),
  port: about('Port to listen on.', port()),
  address: about('Address to listen on.', Type.String({ default: '0.0.0.0' })),
  protocol: about(
    'HTTP and HTTPS take Routes; TCP and TLS (chosen by server name, passed through unless `tls.mode` says Terminate) forward to `backend`.',
    Type.Union(
      [
        Type.Literal('HTTP'),
        needs('tls', Type.Literal('HTTPS')),
        needs('tls-passthrough', Type.Literal('TLS')),
        needs('tcp', Type.Literal('TCP')),
      ],
      { default: 'HTTP' },
    ),
  ),
  hostname: about(
    'Only hosts of this name or wildcard; for TLS, only server names. Absent: every host.',
    Type.Optional(host()),
  ),
  tls: about(
    'Certificates and TLS settings of an HTTPS or TLS listener.',
    Type.Optional(needs('tls', tls)),
  ),
  redirectToHttps: about(
    'Answer every request with a 308 to the same address under https.',
    Type.Optional(needs('https-redirect', Type.Boolean())),
  ),
  proxyProtocol: about(
    'Every connection has to begin with the PROXY protocol (v1 or v2); it says who the caller is. Only for listeners that nobody but the proxy can reach.',
    Type.Optional(needs('proxy-protocol', Type.Boolean())),
  ),
  backend: about(
    'Service that a TCP or TLS listener forwards to.',
    Type.Optional(
      needs(
        'tcp',
        strict({
          service: about('Name of the Service.', name()),
          namespace: about(
            "Namespace of the Service. Default: the Gateway's.",
            Type.Optional(name()),
          ),
        }),
      ),
    ),
  ),
});

/** Defaults follow Envoy's edge settings. */
const limits = strict(
  {
    maxHeaderBytes: about(
      'Largest head of a request, in bytes.',
      Type.Integer({ minimum: 1024, maximum: 1048576, default: 61440 }),
    ),
    maxHeaders: about(
      'Most header lines of a request.',
      Type.Integer({ minimum: 1, maximum: 10000, default: 100 }),
    ),
    maxTargetBytes: about(
      'Longest path with query, in bytes.',
      Type.Integer({ minimum: 128, maximum: 65536, default: 8192 }),
    ),
    headerTimeout: about(
      'From the first byte of a request to the end of its head.',
      duration({ default: '10s' }),
    ),
    idleTimeout: about(
      'How long a keep-alive connection may wait for a request.',
      duration({ default: '5m' }),
    ),
    bodyStallTimeout: about(
      'How long a request or response body may stand still.',
      duration({ default: '30s' }),
    ),
    maxRequestsPerConnection: about(
      'Requests on one connection before it is closed. 0 means no limit.',
      Type.Integer({
        minimum: 0,
        default: 0,
      }),
    ),
    maxConnections: about(
      'Open connections of one listener.',
      Type.Integer({ minimum: 1, default: 10000 }),
    ),
  },
  { default: {} },
);

export const gatewaySpec = strict({
  listeners: about('What to listen on.', Type.Array(listener, { minItems: 1, maxItems: 64 })),
  limits: about("Limits of every connection; the defaults are Envoy's for an edge.", limits),
  trustedProxies: about(
    'Peers whose X-Forwarded-For is believed, as addresses or CIDR blocks. Nobody by default.',
    Type.Array(Type.String(), {
      default: [],
    }),
  ),
  decisionHeader: about(
    'Who is told which policy, rule and revision refused a request: `x-policy-decision` on the answer. Nobody by default; the access log always knows.',
    Type.Optional(
      strict({
        ipBlocks: about(
          'Callers at these addresses, behind trusted proxies.',
          Type.Array(Type.String(), { default: [] }),
        ),
        groups: about(
          'Authenticated callers in one of these groups of Consumers.',
          Type.Array(Type.String(), { default: [] }),
        ),
      }),
    ),
  ),
  path: about(
    'How paths are brought into the one form that routing, policies and services see.',
    strict(
      {
        normalization: about(
          "Istio's levels, each with those before it: Base removes dot segments, MergeSlashes doubled slashes, DecodeAndMergeSlashes decodes %2F and %5C first.",
          oneOf(['None', 'Base', 'MergeSlashes', 'DecodeAndMergeSlashes'], {
            default: 'MergeSlashes',
          }),
        ),
        encodedSlash: about(
          'What to do with %2F in a path: refuse the request, leave it, or decode it.',
          oneOf(['reject', 'keep', 'decode'], { default: 'reject' }),
        ),
      },
      { default: {} },
    ),
  ),
});
