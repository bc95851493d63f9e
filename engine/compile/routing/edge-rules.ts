// For every listener and host of a gateway the rules in the order to ask.
//
// A request belongs to the entry of the most specific host that covers it. Rules of wider hosts stand in that entry too,
// after its own, so that a request which no rule of its own host matches goes on to the wider ones, as Gateway API
// wants it for routes of one listener, and the data plane walks one list only.
import type { HostEntry, Listener, Rule } from '../../model/snapshot.ts';
import {
  type Applied,
  type Attachments,
  appliedTo,
  meshTarget,
  targetKey,
} from '../build/attachments.ts';
import { closedAction } from '../build/closed.ts';
import { compareText, type Draft } from '../findings.ts';
import {
  anyHost,
  comparePatterns,
  coversPattern,
  type HostPattern,
  hostKey,
  hostPattern,
  intersection,
  routeHosts,
} from './hosts.ts';
import { compareRanked } from './rank.ts';
import type { RouteRule } from './route-rules.ts';
import { type Shadowed, shadowedRules } from './shadowed.ts';

export interface EdgeInput {
  readonly gateway: Draft<'Gateway'>;
  readonly listeners: readonly Listener[];
  /** Usable Routes with a parentRef to this gateway, in the order of namespace and name. */
  readonly routes: readonly Draft<'Route'>[];
  readonly rulesOf: (route: Draft<'Route'>) => readonly RouteRule[];
  readonly attachments: Attachments;
}

export interface EdgeRules {
  readonly hosts: readonly HostEntry[];
  readonly rules: readonly Rule[];
  readonly shadowed: readonly Shadowed[];
  /** Routes of which no host fits any listener. */
  readonly homeless: readonly Draft<'Route'>[];
}

interface Group {
  readonly pattern: HostPattern;
  readonly rules: readonly RouteRule[];
}

export const edgeRules = (input: EdgeInput): EdgeRules => {
  const web = input.listeners.filter(({ protocol }) => protocol === 'HTTP' || protocol === 'HTTPS');
  const rules = new RuleTable(input);
  const entries = new Map<string, { pattern: HostPattern; listeners: string[]; rules: number[] }>();
  const housed = new Set<Draft<'Route'>>();
  const own: (readonly RouteRule[])[] = [];
  for (const listener of web) {
    const groups = groupsOf(input, listener);
    for (const { pattern, rules: mine } of groups) {
      own.push(mine);
      for (const { draft } of mine) housed.add(draft);
      const indexes = new Set<number>();
      for (const wider of groups)
        if (wider.pattern === pattern || coversPattern(wider.pattern, pattern))
          for (const rule of wider.rules) indexes.add(rules.indexOf(rule, listener));
      const key = `${hostKey(pattern)} ${[...indexes].join()}`;
      const same = entries.get(key);
      if (same) same.listeners.push(listener.name);
      else entries.set(key, { pattern, listeners: [listener.name], rules: [...indexes] });
    }
  }
  return {
    hosts: [...entries.values()]
      .sort(
        (a, b) =>
          comparePatterns(a.pattern, b.pattern) ||
          compareText(a.listeners.join(), b.listeners.join()),
      )
      .map(({ pattern, listeners, rules: indexes }) => ({
        type: pattern.type,
        host: pattern.host,
        listeners: listeners.length === web.length ? [] : listeners,
        rules: indexes,
      })),
    rules: rules.list,
    shadowed: shadowedRules(own),
    homeless: input.routes.filter((route) => !housed.has(route)),
  };
};

/** By host, most specific first, each group in the order to ask. */
const groupsOf = (input: EdgeInput, listener: Listener): readonly Group[] => {
  const groups = new Map<string, { pattern: HostPattern; rules: Candidate[] }>();
  for (const route of input.routes) {
    if (!isAttached(route, input.gateway, listener.name)) continue;
    for (const { pattern, wanted } of patternsOf(route, listener)) {
      const key = hostKey(pattern);
      const group = groups.get(key) ?? { pattern, rules: [] };
      groups.set(key, group);
      group.rules.push(...input.rulesOf(route).map((rule) => ({ rule, wanted })));
    }
  }
  return [...groups.values()]
    .sort((a, b) => comparePatterns(a.pattern, b.pattern))
    .map(({ pattern, rules }) => ({ pattern, rules: inOrder(rules) }));
};

interface Candidate {
  readonly rule: RouteRule;
  readonly wanted: HostPattern;
}

/** Where a listener narrows several hosts down to one, a Route that names it more closely still comes first. */
const inOrder = (candidates: readonly Candidate[]): readonly RouteRule[] =>
  candidates
    .toSorted((a, b) => comparePatterns(a.wanted, b.wanted) || compareRanked(a.rule, b.rule))
    .map(({ rule }) => rule);

const isAttached = (
  { resource }: Draft<'Route'>,
  gateway: Draft<'Gateway'>,
  listener: string,
): boolean =>
  resource.spec.parentRefs.some(
    (ref) =>
      ref.kind === 'Gateway' &&
      ref.name === gateway.resource.metadata.name &&
      (ref.namespace ?? resource.metadata.namespace) === gateway.resource.metadata.namespace &&
      (ref.listener === undefined || ref.listener === listener),
  );

/** What the listener leaves of a Route's hosts, each with the host as the Route has it. */
const patternsOf = ({ resource }: Draft<'Route'>, { hostname }: Listener) => {
  const limit = hostname === undefined ? anyHost : hostPattern(hostname);
  const patterns = new Map<string, { pattern: HostPattern; wanted: HostPattern }>();
  for (const wanted of routeHosts(resource.spec)) {
    const pattern = intersection(wanted, limit);
    const known = pattern && patterns.get(hostKey(pattern));
    if (pattern && (!known || comparePatterns(wanted, known.wanted) < 0))
      patterns.set(hostKey(pattern), { pattern, wanted });
  }
  return [...patterns.values()];
};

/** A match stands in the table once for every set of policies that listeners put to it. */
class RuleTable {
  readonly list: Rule[] = [];
  readonly #input: EdgeInput;
  readonly #indexes = new Map<RouteRule, Map<Applied, number>>();
  readonly #applied = new Map<string, Applied>();

  constructor(input: EdgeInput) {
    this.#input = input;
  }

  indexOf(from: RouteRule, listener: Listener): number {
    const applied = this.#appliedTo(from, listener);
    const known = this.#indexes.get(from) ?? new Map<Applied, number>();
    this.#indexes.set(from, known);
    const index = known.get(applied);
    if (index !== undefined) return index;
    this.list.push(ruleWith(from, applied));
    known.set(applied, this.list.length - 1);
    return this.list.length - 1;
  }

  /** One object per distinct outcome, so that identity tells them apart. */
  #appliedTo(from: RouteRule, listener: Listener): Applied {
    const { attachments, gateway } = this.#input;
    if (attachments.size === 0) return nothingApplied;
    const path = `${listener.name} ${from.rule.id}`;
    const known = this.#applied.get(path);
    if (known) return known;
    const { namespace, name } = gateway.resource.metadata;
    const route = from.draft.resource.metadata;
    const applied = appliedTo(attachments, [
      meshTarget,
      targetKey('Gateway', namespace, name),
      targetKey('Gateway', namespace, name, listener.name),
      targetKey('Route', route.namespace, route.name),
      targetKey('Route', route.namespace, route.name, from.ruleName),
    ]);
    const text = JSON.stringify(applied);
    const shared = this.#applied.get(text) ?? applied;
    this.#applied.set(text, shared);
    this.#applied.set(path, shared);
    return shared;
  }
}

const nothingApplied: Applied = {
  authentications: [],
  authorizations: [],
  quotas: [],
  closedBy: [],
};

const ruleWith = ({ rule }: RouteRule, applied: Applied): Rule => {
  const { authentications, authorizations, quotas, closedBy } = applied;
  const bare = closedBy.length === 0 ? rule : { ...rule, action: closedAction(closedBy) };
  return { ...bare, authentications, authorizations, quotas };
};
