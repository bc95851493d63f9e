// A Route becomes one rule per match, in ranks. Policies and hosts are put to them later, for each listener.
import { parseDuration } from '../../model/duration.ts';
import type { Route } from '../../model/resource.ts';
import type {
  Action,
  Backend,
  CorsPlan,
  ForwardAction,
  HeaderEdits,
  Match,
  NamedMatch,
  Rule,
  ValueMatch,
} from '../../model/snapshot.ts';
import type { Draft } from '../findings.ts';
import { listedRanks, type Ranked, rankOf } from './rank.ts';

export type RuleSpec = Route['spec']['rules'][number];
type MatchSpec = NonNullable<RuleSpec['matches']>[number];

/** A rule without the policies that apply to it. */
type BareRule = Omit<Rule, 'authentications' | 'authorizations' | 'quotas'>;

export interface RouteRule extends Ranked {
  readonly draft: Draft<'Route'>;
  readonly ruleIndex: number;
  /** Undefined when the rule has no matches of its own. */
  readonly matchIndex: number | undefined;
  readonly ruleName: string;
  readonly rule: BareRule;
}

export const ruleNameOf = (rule: RuleSpec, index: number): string => rule.name ?? String(index);

/** `resolve` says whether a service without a version means a split or one upstream. */
export type Resolve = (target: {
  readonly service: string;
  readonly namespace?: string;
  readonly version?: string;
}) => { readonly split: string } | { readonly upstream: string };

export const routeRules = (draft: Draft<'Route'>, resolve: Resolve): readonly RouteRule[] => {
  const { resource, document } = draft;
  const { namespace, name } = resource.metadata;
  const route = `${namespace}/${name}`;
  const rules = resource.spec.rules.flatMap((spec, ruleIndex) => {
    const at = document.locate(['spec', 'rules', ruleIndex]);
    const ruleName = ruleNameOf(spec, ruleIndex);
    const shared = sharedParts(spec);
    return (spec.matches ?? [undefined]).map((matchSpec, matchIndex) => {
      const match = matchPlan(matchSpec);
      const rule: BareRule = {
        id: `${route}/${ruleName}`,
        origin: { resource: draft.id, file: at.file, line: at.line },
        match,
        action: actionOf(spec, match, resolve),
        ...shared,
      };
      return {
        draft,
        route,
        ruleIndex,
        matchIndex: matchSpec && matchIndex,
        ruleName,
        rule,
        own: rankOf(match),
      };
    });
  });
  const own = rules.map((rule) => rule.own);
  const ranks = resource.spec.order === 'listed' ? listedRanks(own) : own;
  return rules.map(({ own: ownRank, ...rule }, place) => ({
    ...rule,
    rank: ranks[place] ?? ownRank,
    place,
  }));
};

const everything: Match = {
  path: { type: 'segmentPrefix', value: '/' },
  methods: [],
  headers: [],
  query: [],
  cookies: [],
};

const matchPlan = (spec: MatchSpec | undefined): Match =>
  spec === undefined
    ? everything
    : {
        path: pathPlan(spec.path),
        methods: spec.methods ?? [],
        headers: named(spec.headers, (name) => name.toLowerCase()),
        query: named(spec.query),
        cookies: named(spec.cookies),
      };

const pathPlan = (path: MatchSpec['path']): Match['path'] => {
  if (path?.exact !== undefined) return { type: 'exact', value: path.exact };
  if (path?.stringPrefix !== undefined) return { type: 'stringPrefix', value: path.stringPrefix };
  if (path?.regex !== undefined) return { type: 'regexFull', value: path.regex };
  if (path?.regexStart !== undefined) return { type: 'regexStart', value: path.regexStart };
  // A slash at the end of a segment prefix says nothing, and must not count as length.
  return { type: 'segmentPrefix', value: path?.prefix?.replace(/\/+$/, '') || '/' };
};

type NamedSpec = NonNullable<MatchSpec['headers']>[number];

const named = (
  list: readonly NamedSpec[] | undefined,
  spell: (name: string) => string = (name) => name,
): readonly NamedMatch[] =>
  (list ?? []).map((spec) => ({
    name: spell(spec.name),
    match: valueMatch(spec),
    not: (spec.not ?? false) !== (spec.present === false),
  }));

const valueMatch = ({ exact, prefix, regex }: NamedSpec): ValueMatch => {
  if (exact !== undefined) return { type: 'exact', value: exact };
  if (prefix !== undefined) return { type: 'prefix', value: prefix };
  return regex === undefined ? { type: 'present' } : { type: 'regex', value: regex };
};

const actionOf = (spec: RuleSpec, match: Match, resolve: Resolve): Action => {
  if (spec.redirect) return { type: 'redirect', ...spec.redirect };
  if (spec.respond) {
    const { status, body = '', contentType } = spec.respond;
    return { type: 'respond', status, body, contentType };
  }
  const { mirror } = spec;
  const rewrite = rewritePlan(spec, match);
  return {
    type: 'forward',
    backends: (spec.backends ?? []).map(
      ({ weight, ...target }): Backend => ({ weight, ...resolve(target) }),
    ),
    ...(rewrite && { rewrite }),
    timeoutMs: parseDuration(spec.timeout),
    ...(spec.hedge && { hedge: { afterMs: parseDuration(spec.hedge.after) } }),
    ...(spec.retry && spec.retry.attempts > 0 && { retry: retryPlan(spec.retry) }),
    ...(mirror && { mirror: { ...resolve(mirror), percent: mirror.percent } }),
  };
};

const rewritePlan = (
  { strip, rewrite }: RuleSpec,
  { path }: Match,
): ForwardAction['rewrite'] | undefined => {
  if (!strip && !rewrite) return undefined;
  const replacesPrefix = strip || rewrite?.prefix !== undefined;
  return {
    ...(replacesPrefix && { stripPrefix: path.value }),
    ...(rewrite?.prefix !== undefined && { prefix: rewrite.prefix }),
    ...(rewrite?.path !== undefined && { path: rewrite.path }),
    ...(rewrite?.host !== undefined && { host: rewrite.host }),
  };
};

const retryPlan = (retry: NonNullable<RuleSpec['retry']>) => ({
  attempts: retry.attempts,
  on: retry.on,
  perTryTimeoutMs: retry.perTryTimeout ? parseDuration(retry.perTryTimeout) : 0,
  backoffMs: parseDuration(retry.backoff),
  budgetPercent: retry.budgetPercent,
  minRetries: retry.minRetries,
});

/** What all matches of one rule have in common. */
const sharedParts = ({ cors, headers, envelope, sticky, fault }: RuleSpec): Partial<BareRule> => ({
  ...(cors && { cors: corsPlan(cors) }),
  ...(headers?.request && { requestHeaders: editsPlan(headers.request) }),
  ...(headers?.response && { responseHeaders: editsPlan(headers.response) }),
  ...(envelope && { envelope }),
  ...(sticky && { sticky: stickyPlan(sticky) }),
  ...(fault && { fault: faultPlan(fault) }),
});

const corsPlan = (cors: NonNullable<RuleSpec['cors']>): CorsPlan => ({
  origins: cors.origins,
  methods: cors.methods,
  headers: cors.headers,
  exposedHeaders: cors.exposedHeaders,
  maxAgeSeconds: Math.floor(parseDuration(cors.maxAge) / 1000),
  credentials: cors.credentials,
});

const faultPlan = ({ delay, abort }: NonNullable<RuleSpec['fault']>) => ({
  delayMs: delay ? parseDuration(delay.duration) : 0,
  delayPercent: delay?.percent ?? 0,
  abortStatus: abort?.status ?? 0,
  abortPercent: abort?.percent ?? 0,
});

const stickyPlan = (sticky: NonNullable<RuleSpec['sticky']>): NonNullable<Rule['sticky']> => {
  if (sticky.cookie !== undefined) return { by: 'cookie', name: sticky.cookie };
  if (sticky.header !== undefined) return { by: 'header', name: sticky.header.toLowerCase() };
  return { by: 'caller', name: '' };
};

type EditsSpec = NonNullable<NonNullable<RuleSpec['headers']>['request']>;

const editsPlan = ({ set, add, remove }: EditsSpec): HeaderEdits => ({
  set: Object.entries(set ?? {}),
  add: Object.entries(add ?? {}),
  remove: (remove ?? []).map((name) => name.toLowerCase()),
});
