// Why a request goes where it goes, told by the code that serves it.
import type { Remark } from '../filters/filter.ts';
import type { HostEntry, Match, Origin } from '../model/snapshot.ts';
import type { PlaneView } from '../ports/data-plane.ts';
import type { CompiledHost, PipelineDeps } from './compiled-snapshot.ts';
import { createPipeline, type WeirPipeline } from './create-pipeline.ts';
import { namedVersion, type SplitTable } from './destination.ts';
import type { Outcome, RequestView } from './exchange.ts';
import { LiveExchange } from './live-exchange.ts';
import { createPipelineState } from './pipeline-state.ts';
import type { RulePlan } from './rule-plan.ts';

export interface Explanation {
  readonly revision: number;
  readonly outcome: ExplainedOutcome;
  /** The host entry that the request belongs to. */
  readonly host: Pick<HostEntry, 'type' | 'host' | 'listeners'> | undefined;
  readonly rule: ExplainedRule | undefined;
  /** Nearest first. */
  readonly rivals: readonly (ExplainedRule & { readonly lost: string })[];
  readonly caller:
    | {
        readonly principal?: string;
        readonly consumer?: string;
        readonly groups: readonly string[];
      }
    | undefined;
  /** In the order in which the request meets them. */
  readonly filters: readonly {
    readonly filter: string;
    readonly reached: boolean;
    readonly remarks: readonly Remark[];
  }[];
  readonly splits: readonly ExplainedSplit[];
}

export interface ExplainedRule {
  readonly id: string;
  readonly origin: Origin;
  /** From 1: first match wins. */
  readonly place: number;
  readonly match: Match;
}

type ExplainedOutcome =
  | {
      readonly type: 'forward';
      readonly service: string;
      readonly version: string;
      readonly target: string;
      readonly setHeaders: readonly string[];
      readonly removeHeaders: readonly string[];
      readonly delayMs: number;
    }
  | {
      readonly type: 'respond';
      readonly status: number;
      readonly error: string;
      readonly reason: string;
      readonly flag: string;
      readonly notes: Readonly<Record<string, string>>;
    };

export interface ExplainedSplit {
  readonly service: string;
  readonly choices: readonly {
    readonly version: string;
    readonly weight: number;
    readonly endpoints: number;
  }[];
  readonly override: SplitTable['split']['override'];
  readonly chosenBy: 'header' | 'host' | 'cohort' | 'sticky' | 'chance' | 'only choice';
}

const MAX_RIVALS = 10;

/** Counts nothing and fills no cache. The request's path must be canonical, as in serving. */
export const explain = async (
  view: PlaneView,
  deps: PipelineDeps,
  request: RequestView,
): Promise<Explanation> => {
  const pipeline = createPipeline(view, { ...deps, state: createPipelineState() });
  const host = pipeline.compiled.hostOf(request);
  const plan = pipeline.match(request);
  const outcome = await pipeline.handle(request, 'explain');
  const exchange = outcome.exchange instanceof LiveExchange ? outcome.exchange : undefined;
  return {
    revision: view.revision,
    outcome: outcomeOf(outcome),
    host: host && {
      type: host.entry.type,
      host: host.entry.host,
      listeners: host.entry.listeners,
    },
    rule: plan && explainedRule(plan),
    rivals: host ? rivalsOf(host, plan, request) : [],
    caller: exchange && {
      ...(exchange.principal === undefined ? {} : { principal: exchange.principal }),
      ...(exchange.consumer === undefined ? {} : { consumer: exchange.consumer }),
      groups: exchange.groups,
    },
    filters: exchange ? filtersOf(exchange) : [],
    splits: exchange ? splitsOf(pipeline, exchange) : [],
  };
};

const outcomeOf = (outcome: Outcome): ExplainedOutcome => {
  if (outcome.type === 'respond')
    return {
      type: 'respond',
      status: outcome.status,
      error: outcome.error,
      reason: outcome.reason,
      flag: outcome.flag,
      notes: outcome.exchange?.notes ?? {},
    };
  const { upstream, target, exchange, delayMs } = outcome;
  return {
    type: 'forward',
    service: upstream.service,
    version: upstream.version,
    target,
    setHeaders: exchange.setHeaders,
    removeHeaders: exchange.removeHeaders,
    delayMs,
  };
};

const explainedRule = ({ rule, rank }: RulePlan): ExplainedRule => ({
  id: rule.id,
  origin: rule.origin,
  place: rank + 1,
  match: rule.match,
});

const rivalsOf = (
  host: CompiledHost,
  winner: RulePlan | undefined,
  request: RequestView,
): Explanation['rivals'] =>
  host.rules
    .filter((plan) => plan !== winner)
    .map((plan) => ({
      plan,
      nearness: nearness(plan, request),
      lost:
        plan.match.failure(request, request.method) ??
        `place ${(winner?.rank ?? 0) + 1} comes first`,
    }))
    .sort((a, b) => b.nearness - a.nearness || a.plan.rank - b.plan.rank)
    .slice(0, MAX_RIVALS)
    .map(({ plan, lost }) => ({ ...explainedRule(plan), lost }));

/** Right path first, then the same first segment. */
const nearness = ({ match }: RulePlan, { path }: RequestView): number => {
  if (match.coversPath(path)) return 2;
  return match.source.path.value.split('/', 2)[1] === path.split('/', 2)[1] ? 1 : 0;
};

const filtersOf = (exchange: LiveExchange): Explanation['filters'] =>
  exchange.plan.filters.map((filter, i) => {
    const reached = i < exchange.ran;
    return {
      filter: exchange.plan.filterNames[i] ?? '',
      reached,
      remarks: reached ? (filter.explain?.(exchange) ?? []) : [],
    };
  });

const splitsOf = (pipeline: WeirPipeline, exchange: LiveExchange): readonly ExplainedSplit[] => {
  const { forward } = exchange.plan;
  return (forward?.action.backends ?? []).flatMap((backend) => {
    const table = 'split' in backend ? pipeline.splits.get(backend.split) : undefined;
    return table ? explainedSplit(table, exchange) : [];
  });
};

const explainedSplit = (table: SplitTable, { request, rule }: LiveExchange): ExplainedSplit => {
  const { split, choice, versions } = table;
  const named = namedVersion(split, request);
  const byWeight = rule.sticky === undefined ? 'chance' : 'sticky';
  return {
    service: split.service,
    choices: split.choices.map(({ version, weight }) => ({
      version,
      weight,
      endpoints: versions.get(version)?.endpoints.length ?? 0,
    })),
    override: split.override,
    chosenBy: named?.by ?? (choice.items.length <= 1 ? 'only choice' : byWeight),
  };
};
