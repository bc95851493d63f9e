// A snapshot made ready to serve. Knows nothing of decisions, so it survives every change of the overlay.
import type { FilterBuild, FilterDeps } from '../filters/filter.ts';
import { canonicalHeader, identityHeaders } from '../filters/header-names.ts';
import { standingRevocations } from '../filters/revocations.ts';
import type { AuthenticationMethod, HostEntry, Snapshot } from '../model/snapshot.ts';
import type { PlaneView } from '../ports/data-plane.ts';
import { decisionReaders, type MaySeeDecisions } from './decision-header.ts';
import { baseSplits, type SplitTables } from './destination.ts';
import type { RequestView } from './exchange.ts';
import { HostIndex } from './host-index.ts';
import type { PipelineState } from './pipeline-state.ts';
import { RuleIndex } from './rule-index.ts';
import { type RulePlan, rulePlan } from './rule-plan.ts';

export interface PipelineDeps extends FilterDeps {
  readonly state: PipelineState;
}

export interface CompiledSnapshot {
  readonly snapshot: Snapshot;
  readonly deps: PipelineDeps;
  readonly splits: SplitTables;
  readonly protectedHeaders: ReadonlySet<string>;
  readonly revocations: ReturnType<typeof standingRevocations>;
  /** Some rule has CORS, so preflights are worth a look. */
  readonly hasCors: boolean;
  readonly decisionReaders: ReadonlyMap<string, MaySeeDecisions>;
  hostOf(request: RequestView): CompiledHost | undefined;
}

export interface CompiledHost {
  readonly entry: HostEntry;
  /** In order: first match wins. */
  readonly rules: readonly RulePlan[];
  find(request: RequestView, method: string): RulePlan | undefined;
}

export const compileSnapshot = (view: PlaneView, deps: PipelineDeps): CompiledSnapshot => {
  const { snapshot } = view;
  const shared = new Map<string, unknown>();
  const protectedHeaders = protectedNames(view);
  const build: FilterBuild = {
    snapshot,
    deps,
    share: <T>(key: string, make: () => T): T => {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as T;
    },
    keep: (key, make) => deps.state.keep(key, make),
  };
  const plans = new Map<number, RulePlan>();
  const hosts = snapshot.hosts.map((entry) => compileHost(entry, snapshot, plans, build));
  const index = new HostIndex(snapshot.hosts);
  deps.state.sweep();
  return {
    snapshot,
    deps,
    splits: baseSplits(snapshot),
    protectedHeaders,
    revocations: standingRevocations(snapshot.standing),
    hasCors: snapshot.rules.some((rule) => rule.cors !== undefined),
    decisionReaders: decisionReaders(snapshot.listeners),
    hostOf: (request) => hosts[index.find(request.host, request.listener)],
  };
};

const compileHost = (
  entry: HostEntry,
  snapshot: Snapshot,
  plans: Map<number, RulePlan>,
  build: FilterBuild,
): CompiledHost => {
  const rules = entry.rules.flatMap((number, rank) => {
    const rule = snapshot.rules[number];
    if (rule === undefined) return [];
    const plan = plans.get(number) ?? rulePlan(rule, rank, build);
    plans.set(number, plan);
    return plan.rank === rank ? plan : { ...plan, rank };
  });
  const index = new RuleIndex(rules);
  return { entry, rules, find: (request, method) => index.find(request, method) };
};

/**
 * At the edge nobody outside may claim an identity. A sidecar gets its identity headers from the edge and passes them on,
 * but for those that it sets itself.
 */
const protectedNames = ({ scope, snapshot }: PlaneView): ReadonlySet<string> => {
  const names = new Set<string>(scope.startsWith('edge.') ? identityHeaders : []);
  for (const plan of Object.values(snapshot.authentications))
    for (const method of plan.methods)
      for (const header of headersOf(method)) names.add(canonicalHeader(header));
  for (const { provider } of Object.values(snapshot.authorizations))
    for (const header of provider?.responseHeaders ?? []) names.add(canonicalHeader(header));
  return names;
};

/** What a method may say to the upstream about the caller. */
const headersOf = (method: AuthenticationMethod): readonly string[] => {
  switch (method.type) {
    case 'jwt':
      return method.issuers.flatMap((issuer) => issuer.claimsToHeaders.map(([, header]) => header));
    case 'oidc':
      return method.issuer.claimsToHeaders.map(([, header]) => header);
    case 'introspection':
      return method.claimsToHeaders.map(([, header]) => header);
    case 'forward':
      return method.responseHeaders;
    case 'apiKey':
    case 'basic':
    case 'clientCertificate':
      return [];
    default:
      return method satisfies never;
  }
};
