// Authentication: how callers prove who they are.
import Type from 'typebox';
import { about, duration, headerName, needs, oneOf, strict, targetRef } from '../schema.ts';
import { callOut } from './call-out.ts';

const jwtAlgorithms = [
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

const claimsToHeaders = about(
  'Claim to request header. Copies that callers send are always dropped.',
  Type.Record(Type.String(), headerName(), {
    default: { sub: 'X-User-ID', roles: 'X-User-Roles' },
  }),
);

const issuer = strict({
  issuer: about(
    "The token's `iss`, letter by letter.",
    Type.String({ minLength: 1, maxLength: 2048 }),
  ),
  audiences: about(
    "The token's `aud` must contain one of these. Empty only together with `requireAudience: false`.",
    Type.Array(Type.String(), { default: [] }),
  ),
  requireAudience: about(
    'Refuse tokens without a fitting audience.',
    Type.Boolean({ default: true }),
  ),
  algorithms: about(
    'Signature algorithms to accept. HS algorithms take a secret and exclude all others.',
    Type.Array(oneOf(jwtAlgorithms), { default: ['RS256', 'PS256', 'ES256', 'EdDSA'] }),
  ),
  jwks: about(
    'Keys, inline: a JSON Web Key Set. An issuer has exactly one of jwks, jwksFile, jwksUri and discovery.',
    Type.Optional(
      Type.Object({
        keys: about('Public keys.', Type.Array(Type.Record(Type.String(), Type.Unknown()))),
      }),
    ),
  ),
  jwksFile: about(
    'File with the keys; control reads it, relative to its home directory.',
    Type.Optional(Type.String()),
  ),
  jwksUri: about(
    'Address of the keys; control fetches them.',
    Type.Optional(needs('jwks-remote', Type.String({ pattern: '^https?://' }))),
  ),
  discovery: about(
    'Find the keys by OpenID Connect discovery at the issuer; control fetches them.',
    Type.Optional(needs('jwks-remote', Type.Boolean())),
  ),
  secret: about(
    'Shared secret for the HS algorithms.',
    Type.Optional(Type.String({ minLength: 32 })),
  ),
  secretFile: about('File with the shared secret; control reads it.', Type.Optional(Type.String())),
  clockSkew: about('Tolerance for `exp` and `nbf`. At most 60s.', duration({ default: '60s' })),
  claimsToHeaders,
  from: about(
    'Where the token is looked for.',
    strict(
      {
        header: about(
          'Request header; Authorization takes a Bearer token.',
          Type.Optional(headerName()),
        ),
        cookie: about('Cookie.', Type.Optional(Type.String())),
        query: about('Query parameter.', Type.Optional(Type.String())),
      },
      { default: { header: 'Authorization' } },
    ),
  ),
  forwardToken: about(
    'Leave the token on the request to the service.',
    Type.Boolean({ default: true }),
  ),
});

const method = strict({
  jwt: about(
    'A signed token. A method has exactly one member.',
    Type.Optional(
      needs(
        'jwt',
        strict({
          issuers: about('Whose tokens are accepted.', Type.Array(issuer, { minItems: 1 })),
        }),
      ),
    ),
  ),
  apiKey: about(
    'A key of a Consumer.',
    Type.Optional(
      needs(
        'api-key',
        strict({
          header: about('Request header with the key.', headerName({ default: 'X-API-Key' })),
          query: about('Query parameter with the key.', Type.Optional(Type.String())),
          forwardKey: about(
            'Leave the key on the request to the service.',
            Type.Boolean({ default: false }),
          ),
        }),
      ),
    ),
  ),
  basic: about(
    'Name and password of a Consumer.',
    Type.Optional(
      needs(
        'basic',
        strict({
          realm: about('What a browser shows when it asks.', Type.String({ default: 'weir' })),
        }),
      ),
    ),
  ),
  clientCertificate: about(
    'The certificate of the connection.',
    Type.Optional(
      needs(
        'client-certificates',
        strict({
          principalFrom: about(
            'Which name of the certificate is the principal: the SPIFFE id, a DNS name (the one that a Consumer has, else the first), or the subject as RFC 4514 writes it, such as `CN=reader,O=Bibby`.',
            oneOf(['spiffe', 'dns', 'subject'], { default: 'spiffe' }),
          ),
        }),
      ),
    ),
  ),
  introspection: about(
    'Ask the issuer about every Bearer token (RFC 7662).',
    Type.Optional(
      needs(
        'introspection',
        strict({
          endpoint: about('Address to ask.', Type.String({ pattern: '^https?://' })),
          clientId: about('Who asks.', Type.String()),
          clientSecretFile: about(
            'File with the secret of who asks; the agent reads it, relative to its home directory.',
            Type.String(),
          ),
          cache: about(
            'How long an answer is believed, and never past `exp`; that a token is not active, at most 5s. 0s asks every time.',
            duration({ default: '30s' }),
          ),
          timeout: about('How long the answer may take.', duration({ default: '2s' })),
          audiences: about(
            "The answer's `aud` must contain one of these. Empty: it is not looked at.",
            Type.Array(Type.String(), { default: [] }),
          ),
          claimsToHeaders,
          forwardToken: about(
            'Leave the token on the request to the service.',
            Type.Boolean({ default: true }),
          ),
        }),
      ),
    ),
  ),
  forward: about(
    'Ask another service whether the request may pass.',
    Type.Optional(
      needs(
        'forward-auth',
        strict({
          ...callOut,
          principalHeader: about(
            'Header of the answer that names the caller. Absent: the caller passes without a name.',
            Type.Optional(headerName()),
          ),
        }),
      ),
    ),
  ),
  oidc: about(
    'Sign people in with OpenID Connect.',
    Type.Optional(
      needs(
        'oidc',
        strict({
          issuer: about(
            "The issuer, letter by letter as in its tokens' `iss`; control finds its endpoints and keys by discovery.",
            Type.String({ pattern: '^https?://' }),
          ),
          clientId: about(
            'As whom Weir is registered at the issuer.',
            Type.String({ minLength: 1 }),
          ),
          clientSecretFile: about(
            'File with the secret of that client, on the machine of the agent.',
            Type.String(),
          ),
          cookieSecretFile: about(
            'File with at least 32 characters, on the machine of every agent of the gateway; cookies are sealed with it. Default: the client secret.',
            Type.Optional(Type.String()),
          ),
          algorithms: about(
            'Signature algorithms of ID tokens.',
            Type.Array(oneOf(jwtAlgorithms.filter((name) => !name.startsWith('HS'))), {
              default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
            }),
          ),
          sessionLifetime: about('How long people stay signed in.', duration({ default: '8h' })),
          claimsToHeaders: about(
            'Claim to request header. Copies that callers send are always dropped.',
            Type.Record(Type.String(), headerName(), {
              default: { sub: 'X-User-ID', roles: 'X-User-Roles' },
            }),
          ),
          publicOrigin: about(
            'Scheme and host as browsers see them, such as `https://app.bibby.com`. Default: those of the request; needed where something in front of the gateway ends TLS.',
            Type.Optional(Type.String({ pattern: '^https?://[^/?#]+$' })),
          ),
          redirectPath: about(
            'Where the issuer sends people back to.',
            Type.String({ pattern: '^/', default: '/oauth2/callback' }),
          ),
          logoutPath: about(
            'Where people sign out.',
            Type.String({ pattern: '^/', default: '/logout' }),
          ),
          scopes: about('What to ask for.', Type.Array(Type.String(), { default: ['openid'] })),
        }),
      ),
    ),
  ),
});

export const authenticationSpec = strict({
  targetRefs: about(
    'Where it applies. The most specific target that has an Authentication counts alone: rule, route, listener, gateway, mesh.',
    Type.Array(targetRef, { minItems: 1 }),
  ),
  mode: about(
    'required refuses who proves nothing; optional lets them in nameless, but refuses bad proof; audit only notes.',
    oneOf(['required', 'optional', 'audit'], { default: 'required' }),
  ),
  methods: about('Any of these, in order.', Type.Array(method, { minItems: 1 })),
});
