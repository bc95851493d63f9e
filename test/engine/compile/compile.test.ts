import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CompileInput, compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { record } from '#engine/compile/standing.ts';
import { type DecisionBody, decisionId, type StandingDecision } from '#engine/model/decision.ts';
import type { Feature } from '#engine/model/features.ts';
import { localApp, type Snapshot } from '#engine/model/snapshot.ts';
import type { Workload } from '#engine/model/telemetry.ts';

const gateway = `
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec: { listeners: [{ name: web, port: 8080 }] }
`;
const catalog = (baseline = 'v1.0') => `
apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  versions:
    - { name: v1.0, labels: { version: v1.0 } }
    - { name: v1.1, labels: { version: v1.1 } }
  baseline: ${baseline}
`;
const library = `
apiVersion: weir.dev/v1
kind: Service
metadata: { name: library-service, namespace: bibby }
spec:
  port: 9090
  endpoints: [{ address: 10.0.0.2, port: 1 }, { address: 10.0.0.1 }]
`;
const route = (service: string, more = '') => `
apiVersion: weir.dev/v1
kind: Route
metadata: { name: to-${service}, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules: [{ name: all, matches: [{ path: { prefix: /${service} } }], backends: [{ service: ${service}${more} }] }]
`;
const rollout = `
apiVersion: weir.dev/v1
kind: Rollout
metadata: { name: catalog, namespace: bibby }
spec: { service: catalog-service, override: { header: X-Canary, value: "true" } }
`;

const workload = (service: string, version: string, port = 9001): Workload => ({
  namespace: 'bibby',
  name: `${service}-${version}`,
  labels: { app: `${service}-service`, version },
  endpoints: [{ address: '10.0.0.9', port }],
});
const fleet = [workload('catalog', 'v1.0'), workload('catalog', 'v1.1', 9002)];

const decision = (body: DecisionBody, serial = 1): StandingDecision => ({
  id: decisionId(body),
  serial,
  body,
  by: 'rollout:bibby/catalog',
  reason: 'a test',
});
const split = (weights: Record<string, number>): StandingDecision =>
  decision({ type: 'split', target: 'bibby/catalog-service', weights });

type Around = Partial<Omit<CompileInput, 'sources' | 'standing'>> & {
  readonly standing?: readonly StandingDecision[];
};

const run = (documents: readonly string[], { standing = [], ...around }: Around = {}) => {
  const read = readDocuments(documents.map((text, index) => ({ file: `${index}.yaml`, text })));
  return compile({
    sources: new Map(read.documents.map(({ id, source }) => [id, source])),
    workloads: [],
    capabilities: () => undefined,
    files: () => undefined,
    ...around,
    standing: standing.reduce(record, new Map()),
  });
};
const edge = (...args: Parameters<typeof run>): Snapshot => {
  const snapshot = run(...args).snapshots.get('edge.public');
  if (!snapshot) throw new Error('no snapshot of the edge');
  return snapshot;
};
const shares = (snapshot: Snapshot) =>
  snapshot.splits['bibby/catalog-service']?.choices.map(({ weight }) => weight);
const canary = [gateway, catalog(), route('catalog-service')];

describe('a compile', () => {
  it('gives the same bytes for the same input in any order', () => {
    const documents = [...canary, library, route('library-service'), rollout];
    const standing = [
      split({ 'v1.0': 9000, 'v1.1': 1000 }),
      decision({ type: 'revocation', target: 'jti:x', expiresMs: 5 }),
      decision({ type: 'revocation', target: 'jti:a', expiresMs: 5 }),
    ];
    const workloads = [...fleet, workload('library', 'v1.0'), workload('catalog', 'v1.0', 9000)];
    const shuffled = <T>(list: readonly T[]) =>
      fc.shuffledSubarray([...list], { minLength: list.length });
    const bytes = (...args: Parameters<typeof run>) => {
      const { snapshots, rollouts, quarantined, retired, resources } = run(...args);
      return JSON.stringify([[...snapshots], rollouts, quarantined, retired, [...resources]]);
    };
    const named = documents.map((text, index) => ({ file: `${index}.yaml`, text }));
    const expected = bytes(documents, { standing, workloads });
    fc.assert(
      fc.property(shuffled(named), shuffled(standing), shuffled(workloads), (files, ...rest) => {
        const { documents: read } = readDocuments(files);
        const sources = new Map(read.map(({ id, source }) => [id, source]));
        const [decisions, replicas] = rest;
        const around = { sources, capabilities: () => undefined, files: () => undefined };
        const again = compile({
          ...around,
          workloads: replicas,
          standing: decisions.reduce(record, new Map()),
        });
        const { snapshots, rollouts, quarantined, retired, resources } = again;
        expect(
          JSON.stringify([[...snapshots], rollouts, quarantined, retired, [...resources]]),
        ).toBe(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps out of a snapshot what its scope does not need', () => {
    const second = gateway.replace('name: public', 'name: second');
    const { snapshots } = run([...canary, second, library], { workloads: fleet });
    const snapshot = snapshots.get('edge.second');
    expect(snapshot).toMatchObject({ hosts: [], rules: [], splits: {}, upstreams: {} });
    expect(Object.keys(edge([...canary, library]).upstreams)).toEqual([
      'bibby/catalog-service@v1.0',
      'bibby/catalog-service@v1.1',
    ]);
  });

  it('leaves the snapshot of a gateway that does not compile to its agents', () => {
    const { snapshots, quarantined } = run([gateway.replace('port: 8080', 'port: 99999')]);
    expect([...snapshots.keys()]).toEqual([]);
    expect(quarantined).toEqual(['Gateway/bibby/public']);
  });
});

describe('traffic of a service', () => {
  it('goes to the baseline when nothing is decided', () => {
    expect(shares(edge(canary))).toEqual([10_000, 0]);
    expect(shares(edge([gateway, catalog('v1.1'), route('catalog-service')]))).toEqual([0, 10_000]);
  });

  it('is shared as a standing decision says', () => {
    const snapshot = edge(canary, { standing: [split({ 'v1.0': 7000, 'v1.1': 3000 })] });
    expect(shares(snapshot)).toEqual([7000, 3000]);
    expect(snapshot.standing.map(({ id }) => id)).toEqual(['split:bibby/catalog-service']);
  });

  it('of a version that is gone falls to the baseline, with a warning', () => {
    const standing = [split({ 'v1.0': 1000, 'v0.9': 9000 })];
    expect(shares(edge(canary, { standing }))).toEqual([10_000, 0]);
    const { diagnostics } = run(canary, { standing, workloads: fleet });
    expect(diagnostics).toMatchObject([{ code: 'WARN_DECISION_VERSION', severity: 'warning' }]);
  });

  it('goes to one version where a route names it', () => {
    const [rule] = edge([gateway, catalog(), route('catalog-service', ', version: v1.1')]).rules;
    expect(rule?.action).toMatchObject({
      backends: [{ weight: 1, upstream: 'bibby/catalog-service@v1.1' }],
    });
  });

  it('with the header of a rollout goes to the version listed last, unless that is the baseline', () => {
    const override = (...args: Parameters<typeof run>) =>
      edge(...args).splits['bibby/catalog-service']?.override;
    expect(override([...canary, rollout])).toEqual({
      header: 'x-canary',
      value: 'true',
      version: 'v1.1',
    });
    expect(override([gateway, catalog('v1.1'), route('catalog-service'), rollout])).toBeUndefined();
  });
});

describe('a standing decision', () => {
  const promoted = split({ 'v1.0': 0, 'v1.1': 10_000 });

  it('retires once the policy says the same, and not before', () => {
    expect(run(canary, { standing: [promoted] }).retired).toEqual([]);
    const after = [gateway, catalog('v1.1'), route('catalog-service')];
    expect(run(after, { standing: [promoted] }).retired).toEqual(['split:bibby/catalog-service']);
  });

  it('changes nothing by its withdrawal after it has retired', () => {
    const after = [gateway, catalog('v1.1'), route('catalog-service')];
    expect(JSON.stringify(edge(after, { standing: [promoted] }))).toBe(JSON.stringify(edge(after)));
  });

  it('stands while its service is away', () => {
    const { retired, snapshots } = run([gateway], { standing: [promoted] });
    expect(retired).toEqual([]);
    expect(snapshots.get('edge.public')?.standing).toEqual([]);
  });

  it('goes where the thing is that it is about, of a revocation to every scope', () => {
    const revoked = decision({ type: 'revocation', target: 'sub:mallory', expiresMs: 9 });
    const open = decision({
      type: 'breaker',
      target: 'bibby/catalog-service@v1.1/10.0.0.9:9002',
      state: 'open',
    });
    const brake = decision({
      type: 'retry-budget',
      target: 'edge.public/bibby/catalog-service',
      percent: 5,
    });
    const { snapshots } = run(canary, { standing: [revoked, open, brake], workloads: fleet });
    const ids = [...snapshots].map(([scope, { standing }]) => [
      scope,
      standing.map(({ id }) => id),
    ]);
    expect(Object.fromEntries(ids)).toEqual({
      'edge.public': [open.id, brake.id, revoked.id],
      'sidecar.bibby.catalog-v1_0': [revoked.id],
      'sidecar.bibby.catalog-v1_1': [revoked.id],
    });
  });

  it('retires when it says that a breaker is closed, which is what none says too', () => {
    const target = 'bibby/catalog-service@v1.1/10.0.0.9:9002';
    const closed = decision({ type: 'breaker', target, state: 'closed' });
    const { retired, snapshots } = run(canary, { standing: [closed], workloads: fleet });
    expect(retired).toEqual([closed.id]);
    expect(snapshots.get('edge.public')?.standing).toEqual([]);
  });
});

describe('endpoints', () => {
  it('stand where their workload says it runs', () => {
    const place = { ...workload('catalog', 'v1.0', 9001), locality: 'eu-west/a' };
    const { upstreams } = edge([gateway, catalog(), route('catalog-service')], {
      workloads: [place],
    });
    expect(upstreams['bibby/catalog-service@v1.0']?.endpoints).toMatchObject([
      { port: 9001, locality: 'eu-west/a' },
    ]);
  });

  const addresses = (snapshot: Snapshot, upstream: string) =>
    snapshot.upstreams[upstream]?.endpoints.map(({ address, port }) => `${address}:${port}`);

  it('are the static ones and those of workloads whose labels fit, in order', () => {
    const documents = [
      gateway,
      catalog(),
      library,
      route('catalog-service'),
      route('library-service'),
    ];
    const snapshot = edge(documents, {
      workloads: [
        ...fleet,
        workload('library', 'v7', 80),
        { ...workload('catalog', 'v1.0', 7), namespace: 'other' },
        workload('catalog', 'v3', 8),
      ],
    });
    expect(addresses(snapshot, 'bibby/catalog-service@v1.0')).toEqual(['10.0.0.9:9001']);
    expect(addresses(snapshot, 'bibby/catalog-service@v1.1')).toEqual(['10.0.0.9:9002']);
    expect(addresses(snapshot, 'bibby/library-service')).toEqual([
      '10.0.0.1:9090',
      '10.0.0.2:1',
      '10.0.0.9:80',
    ]);
  });

  it('that are missing where traffic goes are warned of', () => {
    const codes = (workloads: readonly Workload[], standing: readonly StandingDecision[] = []) =>
      run(canary, { workloads, standing }).diagnostics.map(({ code, message }) => [code, message]);
    const [v10] = fleet;
    expect(codes(v10 ? [v10] : [])).toEqual([]);
    expect(codes([])).toMatchObject([['WARN_SERVICE_NO_ENDPOINTS', expect.any(String)]]);
    expect(codes(v10 ? [v10] : [], [split({ 'v1.0': 9000, 'v1.1': 1000 })])).toMatchObject([
      ['WARN_SERVICE_NO_ENDPOINTS', expect.stringContaining('v1.1')],
    ]);
  });
});

describe('a sidecar', () => {
  const policy = (kind: string, spec: string) => `
apiVersion: weir.dev/v1
kind: ${kind}
metadata: { name: p, namespace: bibby }
spec: { targetRefs: [{ kind: Service, name: catalog-service }], ${spec} }
`;

  it('forwards everything that comes in to the application beside it', () => {
    const snapshot = run([catalog()], { workloads: fleet }).snapshots.get(
      'sidecar.bibby.catalog-v1_1',
    );
    expect(snapshot).toMatchObject({
      listeners: [{ name: 'inbound', port: 15006, protocol: 'HTTP' }],
      hosts: [{ type: 'any', host: '', listeners: [], rules: [0] }],
      rules: [
        {
          id: 'bibby/catalog-service/inbound',
          action: { backends: [{ upstream: 'bibby/catalog-service@v1.1' }], timeoutMs: 0 },
        },
      ],
      upstreams: { 'bibby/catalog-service@v1.1': { endpoints: [localApp], version: 'v1.1' } },
      splits: {},
    });
  });

  it('serves a workload that no Service knows', () => {
    const { snapshots } = run([], { workloads: [workload('stray', 'v1')] });
    expect(snapshots.get('sidecar.bibby.stray-v1')?.rules[0]?.id).toBe('bibby/stray-v1/inbound');
  });

  it('enforces the policies of its Service, and the edge does not', () => {
    const documents = [
      ...canary,
      policy('Authorization', 'rules: [{}]'),
      policy('Quota', 'limits: [{ requests: 1, window: 1m }]'),
    ];
    const { snapshots } = run(documents, { workloads: fleet });
    expect(snapshots.get('sidecar.bibby.catalog-v1_0')).toMatchObject({
      rules: [{ authorizations: ['bibby/p'], quotas: ['bibby/p'] }],
      authorizations: { 'bibby/p': { action: 'ALLOW' } },
      quotas: { 'bibby/p': { by: 'caller' } },
    });
    expect(snapshots.get('edge.public')).toMatchObject({ authorizations: {}, quotas: {} });
  });
});

describe('features', () => {
  const sticky = route('catalog-service').replace(
    '{ name: all',
    '{ name: all, sticky: { caller: true }',
  );
  const only = (...features: Feature[]) => ({ capabilities: () => new Set(features) });

  it('that the data plane of a scope lacks are refused by field and scope', () => {
    const { diagnostics, quarantined } = run([gateway, catalog(), sticky], only('http', 'split'));
    expect(quarantined).toEqual(['Route/bibby/to-catalog-service']);
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toMatchObject([
      { code: 'ERR_POLICY_NOT_SUPPORTED', path: 'spec.rules[0].sticky' },
    ]);
    expect(diagnostics[0]?.message).toContain('edge.public');
  });

  it('that come by default are not asked for', () => {
    expect(run(canary, only('http', 'split')).quarantined).toEqual([]);
  });

  it('are not asked of a scope without agents', () => {
    expect(run([gateway, catalog(), sticky]).quarantined).toEqual([]);
  });
});

describe('keys', () => {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
  const authentication = (source: string) => `
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: jwt, namespace: bibby }
spec:
  targetRefs: [{ kind: Gateway, name: public }]
  methods: [{ jwt: { issuers: [{ issuer: i, audiences: [a], ${source} }] } }]
`;
  const keysOf = (snapshot: Snapshot) => {
    const [method] = snapshot.authentications['bibby/jwt']?.methods ?? [];
    return method?.type === 'jwt'
      ? method.issuers.map(({ keys, secret }) => ({ keys, secret }))
      : [];
  };

  it('come from a file that control reads', () => {
    const documents = [...canary, authentication('jwksFile: keys.json')];
    const files = (path: string) =>
      path === 'keys.json' ? JSON.stringify({ keys: [jwk] }) : undefined;
    expect(keysOf(edge(documents, { files }))).toEqual([{ keys: [jwk], secret: undefined }]);
  });

  it('may be a shared secret for the HS algorithms', () => {
    const documents = [...canary, authentication('algorithms: [HS256], secretFile: s')];
    const files = () => `${'s'.repeat(40)}\n`;
    expect(keysOf(edge(documents, { files }))).toEqual([{ keys: [], secret: 's'.repeat(40) }]);
  });

  it('that control fetches are followed, and until they are there tokens are refused', () => {
    const documents = [...canary, authentication('jwksUri: "https://id.example/keys"')];
    const before = run(documents, { keys: () => undefined, workloads: fleet });
    expect(before.keyAddresses).toEqual([{ type: 'jwks', uri: 'https://id.example/keys' }]);
    expect(before.diagnostics.map(({ code }) => code)).toEqual(['WARN_POLICY_KEYS_ABSENT']);
    expect(keysOf(edge(documents, { keys: () => undefined }))).toEqual([
      { keys: [], secret: undefined },
    ]);
    expect(keysOf(edge(documents, { keys: () => ({ keys: [jwk] }) }))).toMatchObject([
      { keys: [jwk] },
    ]);
  });

  it('that nobody fetches are refused', () => {
    const { diagnostics } = run([...canary, authentication('discovery: true')], {
      workloads: fleet,
    });
    expect(diagnostics.map(({ code }) => code)).toEqual(['ERR_POLICY_NOT_SUPPORTED']);
  });
});

describe('a login', () => {
  const login = (name: string, target: string, more = '') => `
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: ${name}, namespace: bibby }
spec:
  targetRefs: [{ kind: ${target} }]
  methods: [{ oidc: { issuer: "https://id.example", clientId: weir, clientSecretFile: s, ${more} } }]
`;
  const people = login('people', 'Gateway, name: public');
  const endpoints = {
    authorization: 'https://id.example/authorize',
    token: 'https://id.example/token',
    namesItself: false,
    secretInBody: false,
  };
  const keys = () => ({ keys: [], endpoints });
  const fixed = (snapshot: Snapshot) =>
    snapshot.hosts.map(({ rules }) =>
      rules.map((number) => {
        const rule = snapshot.rules[number];
        return `${rule?.match.path.value} ${rule?.authentications.join()}`;
      }),
    );

  it('brings its own addresses to every host behind it, before all Routes', () => {
    const snapshot = edge([...canary, people], { keys });
    expect(fixed(snapshot)).toEqual([
      ['/oauth2/callback bibby/people', '/logout bibby/people', '/catalog-service bibby/people'],
    ]);
    expect(snapshot.authentications['bibby/people']?.methods).toMatchObject([
      { type: 'oidc', endpoints, issuer: { audiences: ['weir'] }, sessionMs: 8 * 3_600_000 },
    ]);
    const signOut = snapshot.rules.find(({ match }) => match.path.value === '/logout');
    expect(signOut).toMatchObject({ id: 'bibby/people/login', action: { status: 404 } });
  });

  it('is found by discovery, and says so while that has not come back', () => {
    const outcome = run([...canary, people], { keys: () => undefined, workloads: fleet });
    expect(outcome.keyAddresses).toEqual([{ type: 'discovery', issuer: 'https://id.example' }]);
    expect(outcome.diagnostics.map(({ code }) => code)).toEqual(['WARN_POLICY_KEYS_ABSENT']);
  });

  it('needs somebody who fetches', () => {
    const outcome = run([...canary, people]);
    expect(outcome.diagnostics.map(({ code }) => code)).toContain('ERR_POLICY_NOT_SUPPORTED');
  });

  it('does not share its addresses with another one on the same host', () => {
    const other = login('staff', 'Route, name: to-library-service');
    const documents = [...canary, library, route('library-service'), people, other];
    const warned = run(documents, { keys, workloads: fleet }).diagnostics;
    expect(warned.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'WARN_POLICY_LOGIN_PATH /logout is taken on the same host by Authentication/bibby/people',
      'WARN_POLICY_LOGIN_PATH /oauth2/callback is taken on the same host by Authentication/bibby/people',
    ]);
    const apart = login(
      'staff',
      'Route, name: to-library-service',
      'redirectPath: /in, logoutPath: /out',
    );
    expect(run([...documents.slice(0, -1), apart], { keys, workloads: fleet }).diagnostics).toEqual(
      [],
    );
  });

  it.each([
    ['scopes: [email]', 'scopes does not contain openid'],
    ['redirectPath: /a, logoutPath: /a', 'redirectPath and logoutPath are the same'],
    ['redirectPath: "/a/../b"', 'redirectPath cannot be /a/../b'],
    ['logoutPath: "//evil.example"', 'logoutPath cannot be //evil.example'],
    ['logoutPath: "/a?b"', 'logoutPath cannot be /a?b'],
  ])('with %s is refused', (more, message) => {
    const outcome = run([...canary, login('people', 'Gateway, name: public', more)], { keys });
    expect(outcome.diagnostics.map((each) => each.message)).toContain(message);
    expect(outcome.quarantined).toEqual(['Authentication/bibby/people']);
  });
});

describe('what is protected', () => {
  const closing = `
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: jwt, namespace: bibby }
spec:
  targetRefs: [{ kind: Route, name: to-catalog-service }, { kind: Route, name: gone }]
  methods: [{ jwt: { issuers: [{ issuer: i, audiences: [a], jwksFile: keys.json }] } }]
`;

  it('is closed while its protection cannot be enforced', () => {
    const [rule] = edge([...canary, closing]).rules;
    expect(rule?.action).toMatchObject({ type: 'respond', status: 503 });
  });

  it('stays protected when another target of the policy is gone', () => {
    const files = () => '{"keys":[]}';
    const { quarantined } = run([...canary, closing], { files });
    expect(quarantined).toEqual(['Authentication/bibby/jwt']);
    const [rule] = edge([...canary, closing], { files }).rules;
    expect(rule).toMatchObject({ action: { type: 'forward' }, authentications: ['bibby/jwt'] });
  });
});

describe('consumers', () => {
  const consumer = `
apiVersion: weir.dev/v1
kind: Consumer
metadata: { name: robot, namespace: bibby }
spec: { groups: [machines], apiKeys: [{ id: k, salt: aa, hash: "${'0'.repeat(64)}", expires: "2030-01-01T00:00:00Z" }] }
`;
  const apiKeys = `
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: keys, namespace: bibby }
spec: { targetRefs: [{ kind: Gateway, name: public }], methods: [{ apiKey: {} }] }
`;

  it('are known where their kind of proof is asked for, and nowhere else', () => {
    expect(edge([...canary, consumer]).consumers).toEqual([]);
    expect(edge([...canary, consumer, apiKeys]).consumers).toMatchObject([
      { name: 'robot', groups: ['machines'], apiKeys: [{ expiresMs: Date.UTC(2030, 0) }] },
    ]);
  });
});
