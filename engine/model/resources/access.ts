// Authorization, Consumer, PeerAuthentication: who is known, and what they may do.
import Type from 'typebox';
import { about, labels, mode, needs, oneOf, port, strict, targetRef } from '../schema.ts';
import { callOut } from './call-out.ts';

const strings = Type.Optional(Type.Array(Type.String()));

/** Istio's Source, Operation and Condition. An empty list matches nothing, an absent one everything. */
const source = strict({
  principals: about(
    'Workload identities, `cluster.local/ns/<namespace>/sa/<account>`.',
    Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  ),
  notPrincipals: about(
    'None of these workload identities.',
    Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  ),
  requestPrincipals: about(
    'Authenticated callers, `<issuer>/<subject>`; `*` is anybody with a valid token.',
    strings,
  ),
  notRequestPrincipals: about('None of these callers.', strings),
  namespaces: about(
    'Namespaces of workload identities.',
    Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  ),
  notNamespaces: about(
    'None of these namespaces.',
    Type.Optional(needs('peer-principal', Type.Array(Type.String()))),
  ),
  ipBlocks: about('Addresses of the peer.', strings),
  notIpBlocks: about('None of these addresses.', strings),
  remoteIpBlocks: about('Addresses of the caller, behind trusted proxies.', strings),
  notRemoteIpBlocks: about('None of these addresses.', strings),
});
const operation = strict({
  hosts: about('Hosts, as sent.', strings),
  notHosts: about('None of these hosts.', strings),
  ports: about('Ports that were reached.', strings),
  notPorts: about('None of these ports.', strings),
  methods: about('Methods.', strings),
  notMethods: about('None of these methods.', strings),
  paths: about(
    'Paths without the query, `/a/*` and `*/b` included; `{*}` is one segment, `{**}` any number.',
    strings,
  ),
  notPaths: about('None of these paths.', strings),
});

export const authorizationSpec = strict({
  targetRefs: about(
    'Where it applies. Policies of less specific targets apply too.',
    Type.Array(targetRef, { minItems: 1 }),
  ),
  action: about(
    'DENY wins over ALLOW. As soon as one ALLOW policy applies, what none of them allows is denied. AUDIT decides nothing.',
    Type.Union(
      [
        Type.Literal('ALLOW'),
        Type.Literal('DENY'),
        Type.Literal('AUDIT'),
        needs('authorization-custom', Type.Literal('CUSTOM')),
      ],
      { default: 'ALLOW' },
    ),
  ),
  provider: about(
    'Whom CUSTOM asks.',
    Type.Optional(needs('authorization-custom', strict(callOut))),
  ),
  mode: about('enforce decides, audit logs what it would have decided, off does nothing.', mode),
  rules: about(
    'Any of these. `[]` matches nothing (an ALLOW then denies all); `[{}]` matches everything.',
    Type.Array(
      strict({
        from: about(
          'Any of these sources. Members of one source hold together, values of a member are alternatives. An empty list matches nothing.',
          Type.Optional(Type.Array(strict({ source: about('Who sends the request.', source) }))),
        ),
        to: about(
          'Any of these operations.',
          Type.Optional(Type.Array(strict({ operation: about('What is asked for.', operation) }))),
        ),
        when: about(
          'All of these conditions.',
          Type.Optional(
            Type.Array(
              strict({
                key: about(
                  'Attribute of the request, such as `request.headers[x]`, `request.auth.claims[roles]`, `source.ip`.',
                  Type.String(),
                ),
                values: about('Any of these values.', strings),
                notValues: about('None of these values.', strings),
              }),
            ),
          ),
        ),
        cel: about(
          'Condition in the Common Expression Language, beside all others. An error lets nobody in. See docs/authorization.md.',
          Type.Optional(needs('authorization-cel', Type.String({ maxLength: 4096 }))),
        ),
      }),
      { default: [] },
    ),
  ),
});

export const consumerSpec = strict({
  username: about(
    'How the consumer is known. Default: the name of the resource.',
    Type.Optional(Type.String()),
  ),
  groups: about('Groups it belongs to.', Type.Array(Type.String(), { default: [] })),
  apiKeys: about(
    'Its API keys, hashed.',
    Type.Optional(
      needs(
        'api-key',
        Type.Array(
          strict({
            id: about('Name of the key, for logs and revocation.', Type.String()),
            salt: about('Hexadecimal.', Type.String()),
            hash: about(
              'SHA-256 of salt and key, hexadecimal.',
              Type.String({ pattern: '^[0-9a-f]{64}$' }),
            ),
            expires: about(
              'Moment after which the key is void, such as 2027-01-31T00:00:00Z.',
              Type.Optional(Type.String()),
            ),
          }),
        ),
      ),
    ),
  ),
  basic: about(
    'Its name and password, hashed.',
    Type.Optional(
      needs(
        'basic',
        strict({
          username: about('Name to sign in with.', Type.String()),
          hash: about('`scrypt:N:r:p:salt:key`, base64url parts.', Type.String()),
        }),
      ),
    ),
  ),
  jwt: about(
    'The token that is this consumer.',
    Type.Optional(
      strict({
        issuer: about("The token's `iss`.", Type.String()),
        subject: about("The token's `sub`.", Type.String()),
      }),
    ),
  ),
  certificates: about(
    'SPIFFE ids, DNS names or subjects (`CN=reader,O=Bibby`) of its certificates.',
    Type.Optional(needs('client-certificates', Type.Array(Type.String()))),
  ),
});

const mtls = strict({
  mode: about(
    'STRICT refuses plain connections, PERMISSIVE takes both, DISABLE takes plain ones.',
    oneOf(['STRICT', 'PERMISSIVE', 'DISABLE']),
  ),
});

export const peerAuthenticationSpec = needs(
  'peer-mtls',
  strict({
    selector: about(
      'Workloads it is about. Absent: the whole namespace; in the namespace `weir-system`, the whole mesh.',
      Type.Optional(strict({ matchLabels: about('Labels that a workload must have.', labels()) })),
    ),
    mtls: about('For every port.', mtls),
    portLevelMtls: about(
      'For one port, before `mtls`.',
      Type.Optional(
        Type.Array(
          strict({
            port: about('Port of the workload.', port()),
            mtls: about('For this port.', mtls),
          }),
        ),
      ),
    ),
  }),
);
