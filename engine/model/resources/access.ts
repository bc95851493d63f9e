// Authentication, Authorization, Consumer, PeerAuthentication: who is calling, and what they may do.
import Type from 'typebox';
import {
  duration,
  headerName,
  labels,
  mode,
  needs,
  oneOf,
  port,
  strict,
  targetRef,
} from '../schema.ts';

export const jwtAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const;

const issuer = strict({
  issuer: Type.String({ minLength: 1, maxLength: 2048 }),
  /** The token's `aud` must contain one of these. Empty only together with `requireAudience: false`. */
  audiences: Type.Array(Type.String(), { default: [] }),
  requireAudience: Type.Boolean({ default: true }),
  algorithms: Type.Array(oneOf(jwtAlgorithms), { default: ['RS256', 'PS256', 'ES256', 'EdDSA'] }),
  /** One of: keys inline (a JSON Web Key Set), a file that control reads, or an address that control fetches. */
  jwks: Type.Optional(
    Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) }),
  ),
  jwksFile: Type.Optional(Type.String()),
  jwksUri: Type.Optional(needs('jwks-remote', Type.String({ pattern: '^https?://' }))),
  discovery: Type.Optional(
    needs(
      'jwks-remote',
      Type.Boolean({ description: 'Find the keys by OpenID Connect discovery at the issuer.' }),
    ),
  ),
  /** For the HS algorithms only: the shared secret, or a file that holds it. */
  secret: Type.Optional(Type.String({ minLength: 32 })),
  secretFile: Type.Optional(Type.String()),
  clockSkew: duration({ default: '60s', description: 'At most 60s.' }),
  /** Claim to request header. */
  claimsToHeaders: Type.Record(Type.String(), headerName(), {
    default: { sub: 'X-User-ID', roles: 'X-User-Roles' },
  }),
  from: strict(
    {
      header: Type.Optional(headerName()),
      cookie: Type.Optional(Type.String()),
      query: Type.Optional(Type.String()),
    },
    { default: { header: 'Authorization' } },
  ),
  forwardToken: Type.Boolean({ default: true }),
});

const method = strict({
  jwt: Type.Optional(needs('jwt', strict({ issuers: Type.Array(issuer, { minItems: 1 }) }))),
  apiKey: Type.Optional(
    needs(
      'api-key',
      strict({
        header: headerName({ default: 'X-API-Key' }),
        query: Type.Optional(Type.String()),
        forwardKey: Type.Boolean({ default: false }),
      }),
    ),
  ),
  basic: Type.Optional(needs('basic', strict({ realm: Type.String({ default: 'weir' }) }))),
  clientCertificate: Type.Optional(
    needs(
      'client-certificates',
      strict({ principalFrom: oneOf(['spiffe', 'dns', 'subject'], { default: 'spiffe' }) }),
    ),
  ),
  introspection: Type.Optional(
    needs(
      'introspection',
      strict({
        endpoint: Type.String({ pattern: '^https?://' }),
        clientId: Type.String(),
        clientSecretFile: Type.String(),
        cache: duration({ default: '30s' }),
      }),
    ),
  ),
  forward: Type.Optional(
    needs(
      'forward-auth',
      strict({
        url: Type.String({ pattern: '^https?://' }),
        timeout: duration({ default: '1s' }),
        responseHeaders: Type.Array(headerName(), { default: [] }),
        onFailure: oneOf(['closed', 'open'], { default: 'closed' }),
      }),
    ),
  ),
  oidc: Type.Optional(
    needs(
      'oidc',
      strict({
        issuer: Type.String({ pattern: '^https?://' }),
        clientId: Type.String(),
        clientSecretFile: Type.String(),
        redirectPath: Type.String({ pattern: '^/', default: '/oauth2/callback' }),
        logoutPath: Type.String({ pattern: '^/', default: '/logout' }),
        scopes: Type.Array(Type.String(), { default: ['openid'] }),
      }),
    ),
  ),
});

export const authenticationSpec = strict({
  targetRefs: Type.Array(targetRef, { minItems: 1 }),
  mode: oneOf(['required', 'optional', 'audit'], { default: 'required' }),
  /** Any of these, in order. */
  methods: Type.Array(method, { minItems: 1 }),
});

const strings = Type.Optional(Type.Array(Type.String()));

/** Istio's Source, Operation and Condition. An empty list matches nothing, an absent one everything. */
const source = strict({
  principals: Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  notPrincipals: Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  requestPrincipals: strings,
  notRequestPrincipals: strings,
  namespaces: Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  notNamespaces: Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  ipBlocks: strings,
  notIpBlocks: strings,
  remoteIpBlocks: strings,
  notRemoteIpBlocks: strings,
});
const operation = strict({
  hosts: strings,
  notHosts: strings,
  ports: strings,
  notPorts: strings,
  methods: strings,
  notMethods: strings,
  paths: strings,
  notPaths: strings,
});

export const authorizationSpec = strict({
  targetRefs: Type.Array(targetRef, { minItems: 1 }),
  action: Type.Union(
    [
      Type.Literal('ALLOW'),
      Type.Literal('DENY'),
      Type.Literal('AUDIT'),
      needs('authorization-custom', Type.Literal('CUSTOM')),
    ],
    { default: 'ALLOW' },
  ),
  provider: Type.Optional(
    needs(
      'authorization-custom',
      strict({ url: Type.String({ pattern: '^https?://' }), timeout: duration({ default: '1s' }) }),
    ),
  ),
  mode,
  /** `[]` matches nothing (an ALLOW then denies all); `[{}]` matches everything. */
  rules: Type.Array(
    strict({
      from: Type.Optional(Type.Array(strict({ source }))),
      to: Type.Optional(Type.Array(strict({ operation }))),
      when: Type.Optional(
        Type.Array(strict({ key: Type.String(), values: strings, notValues: strings })),
      ),
      cel: Type.Optional(needs('authorization-cel', Type.String({ maxLength: 4096 }))),
    }),
    { default: [] },
  ),
});

export const consumerSpec = strict({
  username: Type.Optional(Type.String()),
  groups: Type.Array(Type.String(), { default: [] }),
  /** SHA-256 over `salt + key`, both hex; `weir consumer key` makes them. */
  apiKeys: Type.Optional(
    needs(
      'api-key',
      Type.Array(
        strict({
          id: Type.String(),
          salt: Type.String(),
          hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          expires: Type.Optional(Type.String()),
        }),
      ),
    ),
  ),
  basic: Type.Optional(
    needs(
      'basic',
      strict({
        username: Type.String(),
        hash: Type.String({ description: 'scrypt:N:r:p:salt:key, base64url parts.' }),
      }),
    ),
  ),
  jwt: Type.Optional(strict({ issuer: Type.String(), subject: Type.String() })),
  certificates: Type.Optional(
    needs(
      'client-certificates',
      Type.Array(Type.String({ description: 'SPIFFE id or DNS name.' })),
    ),
  ),
});

const mtls = strict({ mode: oneOf(['STRICT', 'PERMISSIVE', 'DISABLE']) });

export const peerAuthenticationSpec = needs(
  'peer-mtls',
  strict({
    /** Absent: the whole namespace; in the namespace `weir-system`, the whole mesh. */
    selector: Type.Optional(strict({ matchLabels: labels() })),
    mtls,
    portLevelMtls: Type.Optional(Type.Array(strict({ port: port(), mtls }))),
  }),
);
