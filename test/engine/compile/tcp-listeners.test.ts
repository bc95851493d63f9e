// Listeners that forward bytes: what they compile to, and what is refused about them.
import { expect, it } from 'vitest';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { compileFiles } from '#test/golden/surroundings.ts';

const text = `
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec:
  listeners:
    - { name: web, port: 8080 }
    - { name: books, port: 8080, hostname: books.bibby.com }
    - { name: plain, port: 8080, protocol: TCP, backend: { service: queue } }
    - { name: same, port: 8080, hostname: books.bibby.com }
---
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: raw }
spec:
  listeners:
    - { name: amqp, port: 5672, protocol: TCP, backend: { service: queue } }
    - { name: guarded, port: 5673, protocol: TCP, backend: { service: queue } }
    - { name: amqps, port: 5671, protocol: TLS, hostname: mq.bibby.com, backend: { service: queue } }
    - { name: others, port: 5671, protocol: TLS, backend: { service: queue } }
---
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: wrong }
spec:
  listeners:
    - { name: a, port: 1, protocol: TCP, tls: {}, backend: { service: queue } }
    - { name: b, port: 2, protocol: TLS, tls: {}, backend: { service: queue } }
    - name: c
      port: 3
      protocol: TLS
      tls: { mode: Passthrough, certificates: [{ certificateFile: c.crt, keyFile: c.key }] }
      backend: { service: queue }
    - { name: d, port: 4, protocol: HTTPS, tls: { mode: Passthrough } }
    - { name: e, port: 5, protocol: TCP }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: queue }
spec: { protocol: tcp, port: 5672, proxyProtocol: v2, endpoints: [{ address: 10.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: books }
spec: { proxyProtocol: v1, endpoints: [{ address: 10.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: to-tcp }
spec:
  parentRefs: [{ name: raw }]
  rules: [{ backends: [{ service: queue }] }]
---
apiVersion: weir.dev/v1
kind: Quota
metadata: { name: nobody }
spec:
  targetRefs: [{ kind: Gateway, name: raw, sectionName: guarded }]
  limits: [{ requests: 1, window: 1s }]
---
apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: known }
spec:
  targetRefs: [{ kind: Gateway, name: raw, sectionName: amqps }]
  rules:
    - from: [{ source: { ipBlocks: [10.0.0.0/8], requestPrincipals: ["*"] } }]
      to: [{ operation: { methods: [GET] } }]
    - when: [{ key: connection.sni, values: [mq.bibby.com] }]
---
apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: everywhere }
spec:
  targetRefs: [{ kind: Gateway, name: raw }]
  action: DENY
  rules: [{ from: [{ source: { ipBlocks: [192.0.2.0/24] } }], cel: request.path == "/" }]
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: keys }
spec: { targetRefs: [{ kind: Mesh, name: mesh }], methods: [{ apiKey: {} }] }
---
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: closed }
spec: { listeners: [{ name: amqp, port: 5674, protocol: TCP, backend: { service: queue } }] }
---
apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: broken }
spec:
  targetRefs: [{ kind: Gateway, name: closed }]
  action: DENY
  rules: [{ from: [{ source: { ipBlocks: [nonsense] } }] }]
`;
const { compiled } = compileFiles([{ file: 'tcp.yaml', text }], { workloads: [], capabilities });

it('a TCP or TLS listener takes its Service along', () => {
  const snapshot = compiled.snapshots.get('edge.raw');
  expect(
    snapshot?.listeners.map(({ name, protocol, hostname, upstream }) => [
      name,
      protocol,
      hostname,
      upstream,
    ]),
  ).toEqual([
    ['amqp', 'TCP', undefined, 'default/queue'],
    ['amqps', 'TLS', 'mq.bibby.com', 'default/queue'],
    ['others', 'TLS', undefined, 'default/queue'],
  ]);
  expect(snapshot?.upstreams).toMatchObject({
    'default/queue': { protocol: 'tcp', proxyProtocol: 'v2' },
  });
});

it('a listener is judged by its own policies and those of its gateway', () => {
  const snapshot = compiled.snapshots.get('edge.raw');
  expect(snapshot?.listeners.map(({ name, authorizations }) => [name, authorizations])).toEqual([
    ['amqp', ['default/everywhere']],
    ['amqps', ['default/everywhere', 'default/known']],
    ['others', ['default/everywhere']],
  ]);
  expect(Object.keys(snapshot?.authorizations ?? {})).toEqual([
    'default/everywhere',
    'default/known',
  ]);
});

it('a policy that cannot be enforced closes the listener', () => {
  expect(compiled.snapshots.get('edge.closed')?.listeners).toEqual([]);
});

it('what says nothing about connections, or something else, is told', () => {
  const warnings = compiled.diagnostics
    .filter(({ code }) => code === 'WARN_POLICY_CONNECTIONS')
    .map(({ resource, path, message }) => `${resource} ${path}: ${message}`);
  expect(warnings).toMatchInlineSnapshot(`
    [
      "Authorization/default/known spec.rules[0]: the rule lets no connection of the listener raw/amqps in: nobody reads methods, requestPrincipals there",
      "Authorization/default/everywhere spec.rules[0]: the rule is judged without cel on the listeners raw/amqp, raw/guarded, raw/amqps, raw/others, where nobody reads requests",
      "Authentication/default/keys spec.targetRefs: the policy says nothing about the listeners closed/amqp, raw/amqp, raw/guarded, raw/amqps, raw/others, where bytes are forwarded unread",
    ]
  `);
});

it('what could not work is refused where it is written', () => {
  const errors = compiled.diagnostics
    .filter(({ severity }) => severity === 'error')
    .map(({ code, location, message }) => `${location?.line} ${code} ${message}`);
  expect(errors).toMatchInlineSnapshot(`
    [
      "9 ERR_POLICY_PORT_CONFLICT listeners "web" and "plain" both want port 8080",
      "10 ERR_POLICY_PORT_CONFLICT listeners "books" and "same" both want port 8080",
      "27 ERR_FIELD_CONFLICT a TCP listener has no tls",
      "28 ERR_POLICY_LISTENER_TLS the TLS listener "b" has no certificate",
      "32 ERR_FIELD_CONFLICT what is passed through is neither decrypted nor asked for certificates here",
      "34 ERR_FIELD_CONFLICT an HTTPS listener cannot pass through what it has to read",
      "35 ERR_FIELD_MISSING a TCP listener needs a backend",
      "45 ERR_FIELD_CONFLICT connections to a service of protocol http are shared by many callers",
      "52 ERR_FIELD_CONFLICT the service "queue" speaks tcp, and a Route sends requests",
      "58 ERR_POLICY_NOT_SUPPORTED the listener "guarded" forwards bytes; there are no requests to judge, so it stays closed",
      "95 ERR_FIELD_VALUE "nonsense" is no address and no CIDR block",
    ]
  `);
});
