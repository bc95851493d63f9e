// What the golden tests compile in: the fleet of the demo, and a development issuer's key.
import { type Compiled, compile } from '#engine/compile/compile.ts';
import { type Documents, type File, readDocuments } from '#engine/compile/read-documents.ts';
import type { Feature } from '#engine/model/features.ts';
import type { Workload } from '#engine/model/telemetry.ts';

const devKeys = JSON.stringify({
  keys: [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
      kid: 'dev',
      alg: 'EdDSA',
      use: 'sig',
    },
  ],
});

const workload = (service: string, version: string, port: number): Workload => ({
  namespace: 'bibby',
  name: `${service}-${version.replace('.', '-')}`,
  labels: { app: `${service}-service`, version },
  endpoints: [{ address: '127.0.0.1', port }],
});

export const libraryFleet: readonly Workload[] = [
  workload('catalog', 'v1.0', 9001),
  workload('catalog', 'v1.1', 9002),
  workload('library', 'v1.0', 9003),
  workload('circulation', 'v1.0', 9004),
];

/** A data plane of modest means, so that the golden files do not change when a real one learns something. */
export const modestFeatures: ReadonlySet<Feature> = new Set<Feature>([
  'http',
  'match-regex',
  'match-query',
  'split',
  'split-sticky',
  'rewrite',
  'respond',
  'headers',
  'cors',
  'jwt',
  'authorization',
  'authorization-cel',
  'peer-principal',
  'quota-local',
  'timeout',
  'retry',
]);

export interface Around {
  readonly workloads: readonly Workload[];
  readonly capabilities: ReadonlySet<Feature>;
  /** Key set of the development issuer; there is one by default. */
  readonly jwks?: string;
}

export interface Outcome extends Documents {
  readonly compiled: Compiled;
}

export const compileFiles = (files: readonly File[], around: Around): Outcome => {
  const read = readDocuments(files);
  const compiled = compile({
    sources: new Map(read.documents.map(({ id, source }) => [id, source])),
    standing: new Map(),
    workloads: around.workloads,
    capabilities: () => around.capabilities,
    files: (path) => (path === 'keys/dev-issuer.jwks.json' ? (around.jwks ?? devKeys) : undefined),
  });
  return { ...read, compiled };
};
