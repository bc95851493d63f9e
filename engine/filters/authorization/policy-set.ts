// Authorization policies whose rules are looked up together: an index leads to the few that may match, each filed under
// whatever few others share with it.
import type { AuthorizationPlan } from '../../model/snapshot.ts';
import { PathIndex } from '../path-index.ts';
import { type CompiledRule, compileRule, matchesRule, type Test } from './compile-rule.ts';
import type { Fact } from './facts.ts';
import { type Handle, handlesOf, pathHandles } from './handles.ts';
import type { Judged } from './judged.ts';

export interface CompiledPolicy {
  readonly plan: AuthorizationPlan;
  readonly rules: readonly CompiledRule[];
}

/** Which rule of which policy spoke. */
export interface Finding {
  readonly policy: CompiledPolicy;
  /** Place in the policy's list. */
  readonly rule: number;
}

export const compilePolicy = (plan: AuthorizationPlan, nowMs: () => number): CompiledPolicy => ({
  plan,
  rules: plan.rules.map((rule, index) =>
    compileRule(rule, {
      action: plan.action,
      nowMs,
      name: `${plan.origin.resource} rule ${index}`,
    }),
  ),
});

/** The first rule of one policy that matches, found by walking: for `explain` and for tests of the index. */
export const walk = (policy: CompiledPolicy, exchange: Judged): number =>
  policy.rules.findIndex((rule) => matchesRule(rule, exchange));

interface Entry extends Finding {
  readonly operation: Test | undefined;
  readonly caller: Test;
}

/** Rules of many policies, of which one match is wanted. */
export class RuleSet {
  readonly size: number;
  readonly policies: readonly CompiledPolicy[];
  readonly #paths = new PathIndex<Entry>();
  readonly #facts = new Map<string, FactIndex>();
  readonly #rest: Entry[] = [];
  readonly #lists: (readonly Entry[])[] = [];

  constructor(policies: readonly CompiledPolicy[]) {
    this.size = policies.length;
    this.policies = policies;
    const drafts = policies.flatMap((policy) =>
      policy.rules.flatMap((_, rule) => draftsOf(policy, rule)),
    );
    const crowds = countHandles(drafts);
    for (const { entry, handles } of drafts) this.#file(entry, leastCrowded(handles, crowds));
  }

  find(exchange: Judged): Finding | undefined {
    const lists = this.#lists;
    lists.length = 0;
    this.#paths.collect(exchange.request.path, lists);
    for (const { fact, entries } of this.#facts.values())
      for (const value of fact(exchange)) {
        const list = entries.get(value);
        if (list) lists.push(list);
      }
    lists.push(this.#rest);
    for (const list of lists)
      for (const entry of list)
        if (entry.operation?.(exchange) !== false && entry.caller(exchange)) return entry;
    return undefined;
  }

  #file(entry: Entry, handle: Handle | undefined): void {
    if (handle === undefined) this.#rest.push(entry);
    else if (handle.fact === undefined)
      for (const value of new Set(handle.values))
        this.#paths.add({ type: handle.by, value }, entry);
    else {
      const index = this.#facts.get(handle.by) ?? { fact: handle.fact, entries: new Map() };
      this.#facts.set(handle.by, index);
      for (const value of new Set(handle.values)) {
        const list = index.entries.get(value);
        if (list) list.push(entry);
        else index.entries.set(value, [entry]);
      }
    }
  }
}

interface FactIndex {
  readonly fact: Fact;
  readonly entries: Map<string, Entry[]>;
}

interface Draft {
  readonly entry: Entry;
  readonly handles: readonly Handle[];
}

const draftsOf = (policy: CompiledPolicy, rule: number): readonly Draft[] => {
  const source = policy.plan.rules[rule];
  const compiled = policy.rules[rule];
  if (source === undefined || compiled === undefined) return [];
  const { caller, operations } = compiled;
  const general = handlesOf(source);
  if (operations === undefined)
    return [{ entry: { policy, rule, operation: undefined, caller }, handles: general }];
  return operations.map((operation, i) => ({
    entry: { policy, rule, operation, caller },
    handles: [...pathHandles(source.to?.[i]?.paths), ...general],
  }));
};

const crowdKey = (by: string, value: string): string => `${by} ${value}`;

const countHandles = (drafts: readonly Draft[]): ReadonlyMap<string, number> => {
  const crowds = new Map<string, number>();
  for (const { handles } of drafts)
    for (const { by, values } of handles)
      for (const value of values) {
        const key = crowdKey(by, value);
        crowds.set(key, (crowds.get(key) ?? 0) + 1);
      }
  return crowds;
};

const leastCrowded = (
  handles: readonly Handle[],
  crowds: ReadonlyMap<string, number>,
): Handle | undefined => {
  let best: Handle | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const handle of handles) {
    const crowd = Math.max(
      0,
      ...handle.values.map((value) => crowds.get(crowdKey(handle.by, value)) ?? 0),
    );
    if (crowd >= least) continue;
    best = handle;
    least = crowd;
  }
  return best;
};
