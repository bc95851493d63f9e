// All authorization policies of a route as one decision: CUSTOM is not offered, then DENY, then ALLOW; AUDIT never
// decides. An index by path and principal leads to the few rules that may match.
import type {
  AuthorizationOperation,
  AuthorizationPlan,
  AuthorizationRule,
} from '../../model/snapshot.ts';
import type { FilterExchange } from '../filter.ts';
import { PathIndex } from '../path-index.ts';
import { type CompiledRule, compileRule, matchesRule, type Test } from './compile-rule.ts';
import { peerPrincipal, withoutScheme } from './facts.ts';
import { isExact, isTemplate } from './strings.ts';

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

export const compilePolicy = (plan: AuthorizationPlan): CompiledPolicy => ({
  plan,
  rules: plan.rules.map((rule) => compileRule(rule, plan.action)),
});

/** The first rule of one policy that matches, found by walking: for `explain` and for tests of the index. */
export const walk = (policy: CompiledPolicy, exchange: FilterExchange): number =>
  policy.rules.findIndex((rule) => matchesRule(rule, exchange));

interface Entry extends Finding {
  readonly operation: Test | undefined;
  readonly caller: Test;
}

/** Rules of many policies, of which one match is wanted. */
export class RuleSet {
  readonly size: number;
  readonly #paths = new PathIndex<Entry>();
  readonly #requestPrincipals = new Map<string, Entry[]>();
  readonly #principals = new Map<string, Entry[]>();
  readonly #rest: Entry[] = [];
  readonly #lists: (readonly Entry[])[] = [];

  constructor(policies: readonly CompiledPolicy[]) {
    this.size = policies.length;
    for (const policy of policies)
      for (const [rule, compiled] of policy.rules.entries()) this.#add(policy, rule, compiled);
  }

  find(exchange: FilterExchange): Finding | undefined {
    const lists = this.#lists;
    lists.length = 0;
    this.#paths.collect(exchange.request.path, lists);
    const byCaller = this.#requestPrincipals.get(exchange.principal ?? '');
    if (byCaller) lists.push(byCaller);
    const byPeer =
      this.#principals.size > 0 ? this.#principals.get(peerPrincipal(exchange) ?? '') : undefined;
    if (byPeer) lists.push(byPeer);
    lists.push(this.#rest);
    for (const list of lists)
      for (const entry of list)
        if (entry.operation?.(exchange) !== false && entry.caller(exchange)) return entry;
    return undefined;
  }

  #add(policy: CompiledPolicy, rule: number, { caller, operations }: CompiledRule): void {
    const source = policy.plan.rules[rule];
    if (source === undefined) return;
    if (operations === undefined)
      this.#file({ policy, rule, operation: undefined, caller }, source, undefined);
    else
      for (const [i, operation] of operations.entries())
        this.#file({ policy, rule, operation, caller }, source, source.to?.[i]);
  }

  /** Under the narrowest of its own words. Every way to match must lead past one of the places where it is filed. */
  #file(
    entry: Entry,
    source: AuthorizationRule,
    operation: AuthorizationOperation | undefined,
  ): void {
    const paths = operation?.paths;
    if (paths?.every((path) => isExact(path) && !isTemplate(path)))
      for (const value of paths) this.#paths.add({ type: 'exact', value }, entry);
    else if (isNamed(source, 'requestPrincipals'))
      fileUnder(this.#requestPrincipals, namesOf(source, 'requestPrincipals'), entry);
    else if (isNamed(source, 'principals'))
      fileUnder(this.#principals, namesOf(source, 'principals').map(withoutScheme), entry);
    else if (paths?.every((path) => prefixOf(path) !== ''))
      for (const path of paths)
        this.#paths.add({ type: 'stringPrefix', value: prefixOf(path) }, entry);
    else this.#rest.push(entry);
  }
}

type Names = 'principals' | 'requestPrincipals';

const isNamed = ({ from }: AuthorizationRule, field: Names): boolean =>
  from !== undefined && from.every((source) => source[field]?.every(isExact) ?? false);

const namesOf = ({ from }: AuthorizationRule, field: Names): readonly string[] =>
  (from ?? []).flatMap((source) => source[field] ?? []);

const fileUnder = (map: Map<string, Entry[]>, names: readonly string[], entry: Entry): void => {
  for (const name of new Set(names)) {
    const list = map.get(name);
    if (list) list.push(entry);
    else map.set(name, [entry]);
  }
};

/** What every path that the pattern covers begins with. */
const prefixOf = (pattern: string): string => {
  if (isTemplate(pattern)) return pattern.slice(0, pattern.indexOf('{'));
  if (pattern.startsWith('*')) return '';
  return pattern.endsWith('*') ? pattern.slice(0, -1) : pattern;
};
