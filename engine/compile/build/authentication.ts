// Authentications with their keys: inline, from a file, or as control fetched them.
import { parseDuration } from '../../model/duration.ts';
import type { Authentication } from '../../model/resource.ts';
import type {
  AuthenticationMethod,
  AuthenticationPlan,
  IssuerPlan,
  LoginPlan,
} from '../../model/snapshot.ts';
import type { KeyAddress, KeySet } from '../../ports/keys.ts';
import { admitKeys } from '../checks/keys.ts';
import type { Path } from '../documents/path.ts';
import type { Draft, Finding, Findings } from '../findings.ts';
import { callOutPlan, originOf } from './policies.ts';

export interface KeySources {
  /** Text of a file, or undefined if it cannot be read. */
  readonly files: (path: string) => string | undefined;
  /** The last good key set of an issuer; undefined while there is none. */
  readonly keys?: ((address: KeyAddress) => KeySet | undefined) | undefined;
}

type Spec = Authentication['spec'];
type IssuerSpec = NonNullable<Spec['methods'][number]['jwt']>['issuers'][number];

/** Undefined when it cannot be enforced; then `findings` says why. */
export const authenticationPlan = (
  draft: Draft<'Authentication'>,
  sources: KeySources,
  findings: Findings,
): AuthenticationPlan | undefined => {
  const { mode, methods } = draft.resource.spec;
  const plans: AuthenticationMethod[] = [];
  let isWhole = true;
  for (const [index, method] of methods.entries()) {
    if (method.jwt) {
      const issuers = method.jwt.issuers.map((issuer, place) => {
        const path = ['spec', 'methods', index, 'jwt', 'issuers', place];
        const outcome = issuerPlan(issuer, path, sources);
        for (const finding of outcome.findings) findings.add(draft, finding);
        if (!outcome.plan) isWhole = false;
        return outcome.plan;
      });
      plans.push({ type: 'jwt', issuers: issuers.filter((issuer) => issuer !== undefined) });
    }
    if (method.apiKey) {
      const { header, query, forwardKey } = method.apiKey;
      const places = { header: header.toLowerCase(), ...(query !== undefined && { query }) };
      plans.push({ type: 'apiKey', ...places, forwardKey });
    }
    if (method.basic) plans.push({ type: 'basic', ...method.basic });
    if (method.introspection) {
      const { cache, timeout, claimsToHeaders, ...rest } = method.introspection;
      plans.push({
        type: 'introspection',
        ...rest,
        cacheMs: parseDuration(cache),
        timeoutMs: parseDuration(timeout),
        claimsToHeaders: Object.entries(claimsToHeaders),
      });
    }
    if (method.forward) {
      const { principalHeader } = method.forward;
      plans.push({
        type: 'forward',
        ...callOutPlan(method.forward),
        ...(principalHeader !== undefined && { principalHeader: principalHeader.toLowerCase() }),
      });
    }
    if (method.oidc) {
      const outcome = loginPlan(method.oidc, ['spec', 'methods', index, 'oidc'], sources);
      for (const finding of outcome.findings) findings.add(draft, finding);
      plans.push(outcome.plan);
    }
    if (method.clientCertificate)
      plans.push({ type: 'clientCertificate', ...method.clientCertificate });
  }
  return isWhole && plans.length > 0
    ? { origin: originOf(draft), mode, methods: plans }
    : undefined;
};

interface IssuerOutcome {
  readonly plan?: IssuerPlan;
  readonly findings: readonly Finding[];
}

const issuerPlan = (spec: IssuerSpec, path: Path, sources: KeySources): IssuerOutcome => {
  const found = keyMaterial(spec, path, sources);
  const admitted = admitKeys(found.keys, { at: found.at });
  const findings = [...found.findings, ...admitted.findings];
  if (findings.some(({ code }) => code.startsWith('ERR_'))) return { findings };
  return {
    findings,
    plan: {
      issuer: spec.issuer,
      audiences: spec.audiences,
      requireAudience: spec.requireAudience,
      algorithms: spec.algorithms,
      keys: admitted.keys,
      ...(found.secret !== undefined && { secret: found.secret }),
      clockSkewMs: parseDuration(spec.clockSkew),
      claimsToHeaders: Object.entries(spec.claimsToHeaders),
      from: spec.from,
      forwardToken: spec.forwardToken,
    },
  };
};

interface Material {
  readonly keys: readonly unknown[];
  readonly secret?: string;
  /** Where the keys are named. */
  readonly at: Path;
  readonly findings: readonly Finding[];
}

const keyMaterial = (spec: IssuerSpec, path: Path, { files, keys }: KeySources): Material => {
  const none = { keys: [], findings: [] };
  if (spec.jwks) return { ...none, keys: spec.jwks.keys, at: [...path, 'jwks'] };
  if (spec.secret !== undefined) return { ...none, secret: spec.secret, at: [...path, 'secret'] };
  if (spec.jwksFile !== undefined) return keysFromFile(spec.jwksFile, [...path, 'jwksFile'], files);
  if (spec.secretFile !== undefined)
    return secretFromFile(spec.secretFile, [...path, 'secretFile'], files);
  const address = keyAddress(spec);
  const at = [...path, spec.jwksUri === undefined ? 'discovery' : 'jwksUri'];
  // Where nobody fetches keys the field itself has been refused.
  if (!address || !keys) return { ...none, at };
  const set = keys(address);
  if (set) return { ...none, keys: set.keys, at };
  const finding: Finding = {
    code: 'WARN_POLICY_KEYS_ABSENT',
    path: at,
    message: `the keys of ${spec.issuer} have not been fetched yet`,
    hint: 'Control is fetching them. Tokens of this issuer are refused until they are there.',
  };
  return { keys: [], at, findings: [finding] };
};

const keyAddress = (spec: IssuerSpec): KeyAddress | undefined => {
  if (spec.jwksUri !== undefined) return { type: 'jwks', uri: spec.jwksUri };
  return spec.discovery ? { type: 'discovery', issuer: spec.issuer } : undefined;
};

type LoginSpec = NonNullable<Spec['methods'][number]['oidc']>;

const loginPlan = (
  spec: LoginSpec,
  path: Path,
  { keys }: KeySources,
): { readonly plan: LoginPlan; readonly findings: readonly Finding[] } => {
  const at = [...path, 'issuer'];
  const set = keys?.({ type: 'discovery', issuer: spec.issuer });
  const admitted = admitKeys(set?.keys ?? [], { at });
  const findings: Finding[] = [...admitted.findings];
  if (set?.endpoints === undefined)
    findings.push({
      code: 'WARN_POLICY_KEYS_ABSENT',
      path: at,
      message: `${spec.issuer} has not been reached yet`,
      hint: 'Control is asking it. Nobody can sign in until its endpoints and keys are there.',
    });
  const { issuer, algorithms, claimsToHeaders, sessionLifetime, ...rest } = spec;
  const plan: LoginPlan = {
    type: 'oidc',
    ...rest,
    issuer: {
      issuer,
      audiences: [spec.clientId],
      requireAudience: true,
      algorithms,
      keys: admitted.keys,
      clockSkewMs: 60_000,
      claimsToHeaders: Object.entries(claimsToHeaders),
      from: {},
      forwardToken: false,
    },
    ...(set?.endpoints && { endpoints: set.endpoints }),
    sessionMs: parseDuration(sessionLifetime),
  };
  return { plan, findings };
};

/** Issuers and where control finds their keys. */
const keyPlaces = ({ resource }: Draft<'Authentication'>): readonly [string, KeyAddress][] =>
  resource.spec.methods.flatMap(({ jwt, oidc }): [string, KeyAddress][] => {
    if (oidc) return [[oidc.issuer, { type: 'discovery', issuer: oidc.issuer }]];
    return (jwt?.issuers ?? []).flatMap((issuer): [string, KeyAddress][] => {
      const address = keyAddress(issuer);
      return address ? [[issuer.issuer, address]] : [];
    });
  });

/** Every address that some Authentication names, once. */
export const keyAddressesOf = (
  drafts: readonly Draft<'Authentication'>[],
): readonly KeyAddress[] => {
  const addresses = new Map<string, KeyAddress>();
  for (const [, address] of drafts.flatMap(keyPlaces))
    addresses.set(JSON.stringify(address), address);
  return [...addresses.values()];
};

/** Where the keys of each issuer come from, as control fetches them. */
export const keyIssuersOf = (
  drafts: readonly Draft<'Authentication'>[],
): ReadonlyMap<string, readonly KeyAddress[]> => {
  const issuers = new Map<string, readonly KeyAddress[]>();
  for (const [issuer, address] of drafts.flatMap(keyPlaces))
    issuers.set(issuer, [...(issuers.get(issuer) ?? []), address]);
  return issuers;
};

const unreadable = (file: string, at: Path, why: string): Material => ({
  keys: [],
  at,
  findings: [
    {
      code: 'ERR_POLICY_FILE',
      path: at,
      message: `${file} ${why}`,
      hint: 'Control reads the file; a relative path starts at its home directory (WEIR_HOME).',
    },
  ],
});

const keysFromFile = (file: string, at: Path, files: KeySources['files']): Material => {
  const text = files(file);
  if (text === undefined) return unreadable(file, at, 'cannot be read');
  try {
    const set: unknown = JSON.parse(text);
    const keys = (set as { keys?: unknown } | null)?.keys;
    if (Array.isArray(keys)) return { keys, at, findings: [] };
  } catch {
    // Told below, in the same words as any other content that is no key set.
  }
  return unreadable(file, at, 'is not a JSON Web Key Set');
};

const MIN_SECRET = 32;

const secretFromFile = (file: string, at: Path, files: KeySources['files']): Material => {
  const secret = files(file)?.trim();
  if (secret === undefined) return unreadable(file, at, 'cannot be read');
  if (secret.length < MIN_SECRET) return unreadable(file, at, 'holds fewer than 32 characters');
  return { keys: [], secret, at, findings: [] };
};
