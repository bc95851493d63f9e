// Policies as their data planes would have them, compiled here: without control, agents, issuers' keys or key files.
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { type Compiled, compile } from '#engine/compile/compile.ts';
import { type File, readDocuments } from '#engine/compile/read-documents.ts';
import type { Source } from '#engine/model/commit.ts';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import type { Resource, ResourceId } from '#engine/model/resource.ts';
import type {
  AuthenticationMethod,
  AuthenticationPlan,
  IssuerPlan,
  Snapshot,
} from '#engine/model/snapshot.ts';
import type { Workload } from '#engine/model/telemetry.ts';

export interface TestPolicies {
  readonly snapshots: ReadonlyMap<string, Snapshot>;
  /** Errors only. */
  readonly diagnostics: readonly Diagnostic[];
  /** A token that every issuer's policy takes for its own, if the claims are right. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

export const compileForTests = async (files: readonly File[]): Promise<TestPolicies> => {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'authz-test', alg: 'EdDSA', use: 'sig' };
  const read = readDocuments(files);
  const sources = new Map(read.documents.map(({ id, source }) => [id, source]));
  const set = { keys: [jwk] };
  const compiled = compileWith(sources, workloadsOf(compileWith(sources, [], set)), set);
  return {
    snapshots: new Map(
      [...compiled.snapshots].map(([scope, snapshot]) => [scope, trusting(snapshot, jwk)]),
    ),
    diagnostics: [...read.diagnostics, ...compiled.diagnostics].filter(
      ({ severity }) => severity === 'error',
    ),
    sign: (claims) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'EdDSA', kid: 'authz-test' })
        .sign(privateKey),
  };
};

interface Keys {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

const compileWith = (
  sources: ReadonlyMap<ResourceId, Source>,
  workloads: readonly Workload[],
  set: Keys,
): Compiled =>
  compile({
    sources,
    standing: new Map(),
    workloads,
    capabilities: () => capabilities,
    // Key files and secrets are not here in a CI run, and need not be: all tokens are signed by the test's own key.
    files: () => JSON.stringify(set),
    keys: () => set,
  });

/** One of each version of each service, so that there is somewhere to go. */
const workloadsOf = ({ resources }: Compiled): readonly Workload[] =>
  [...resources.values()].flatMap((resource) =>
    resource.kind === 'Service' ? serviceWorkloads(resource) : [],
  );

const serviceWorkloads = ({
  metadata,
  spec,
}: Extract<Resource, { kind: 'Service' }>): readonly Workload[] => {
  const { selector = { app: metadata.name }, versions } = spec;
  const labels = versions.length > 0 ? versions.map((version) => version.labels) : [{}];
  return labels.map((more) => ({
    namespace: metadata.namespace,
    name: metadata.name,
    labels: { ...selector, ...more },
    endpoints: [{ address: '127.0.0.1', port: 1 }],
  }));
};

const trusting = (snapshot: Snapshot, jwk: Readonly<Record<string, unknown>>): Snapshot => {
  const trust = (issuer: IssuerPlan): IssuerPlan => ({
    ...issuer,
    algorithms: ['EdDSA'],
    keys: [jwk],
  });
  const plans = Object.entries(snapshot.authentications).map(
    ([id, plan]): [string, AuthenticationPlan] => [
      id,
      {
        ...plan,
        methods: plan.methods.flatMap((method): readonly AuthenticationMethod[] => {
          if (method.type === 'jwt') return [{ ...method, issuers: method.issuers.map(trust) }];
          return method.type === 'oidc' ? [signedIn(trust(method.issuer)), method] : [method];
        }),
      },
    ],
  );
  return { ...snapshot, authentications: Object.fromEntries(plans) };
};

/** Whoever brings a token counts as signed in. */
const signedIn = (issuer: IssuerPlan): AuthenticationMethod => ({
  type: 'jwt',
  issuers: [{ ...issuer, from: { header: 'Authorization' } }],
});
