// One rule made ready to serve: its filters as one flat list, its destination as tables.
import type { BodyTransform, Filter, FilterBuild } from '../filters/filter.ts';
import { own } from '../filters/own.ts';
import { standardFilters } from '../filters/standard.ts';
import type { ForwardAction, Rule, Upstream } from '../model/snapshot.ts';
import { type Destination, destination } from './destination.ts';
import { type CompiledMatch, compileMatch } from './match.ts';
import { targetOf } from './target.ts';

export interface RulePlan {
  readonly rank: number;
  readonly rule: Rule;
  readonly match: CompiledMatch;
  readonly filters: readonly Filter[];
  /** Of the filters, for people. */
  readonly filterNames: readonly string[];
  readonly body: BodyTransform | undefined;
  /** Present for rules that forward. */
  readonly forward: ForwardPlan | undefined;
}

export interface ForwardPlan {
  readonly action: ForwardAction;
  readonly destination: Destination;
  readonly mirror: Mirror | undefined;
  readonly target: (path: string) => string;
  readonly host: string | undefined;
}

interface Mirror {
  readonly split: string | undefined;
  readonly upstream: Upstream | undefined;
  /** 0 to 1. */
  readonly share: number;
}

export const rulePlan = (rule: Rule, rank: number, build: FilterBuild): RulePlan => {
  const made = standardFilters.flatMap((kind) => {
    const filter = kind.create(rule, build);
    return filter ? { name: kind.name, filter } : [];
  });
  const filters = made.map(({ filter }) => filter);
  return {
    rank,
    rule,
    match: build.share(`match ${JSON.stringify(rule.match)}`, () => compileMatch(rule.match)),
    filters,
    filterNames: made.map(({ name }) => name),
    body: filters.find((filter) => filter.body !== undefined)?.body,
    forward: rule.action.type === 'forward' ? forwardPlan(rule, rule.action, build) : undefined,
  };
};

const forwardPlan = (rule: Rule, action: ForwardAction, build: FilterBuild): ForwardPlan => ({
  action,
  destination: destination(rule, action.backends, build.snapshot),
  mirror: action.mirror && {
    split: action.mirror.split,
    upstream:
      action.mirror.upstream === undefined
        ? undefined
        : own(build.snapshot.upstreams, action.mirror.upstream),
    share: action.mirror.percent / 100,
  },
  target: targetOf(action.rewrite),
  host: action.rewrite?.host,
});
