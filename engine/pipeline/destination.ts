// Step 13: which version of which service gets the request.
import { own } from '../filters/own.ts';
import { cookie } from '../filters/request-parts.ts';
import type { DecisionOf } from '../model/control-message.ts';
import type { DecisionBody } from '../model/decision.ts';
import type { Backend, Rule, Snapshot, Split, SplitChoice, Upstream } from '../model/snapshot.ts';
import type { Random } from '../ports/clock.ts';
import type { Exchange } from './exchange.ts';

import { choose, pointOf, type WeightedChoice, weightedChoice } from './weighted-choice.ts';

/** A service's versions with the weights now in force. Versions without endpoints have no share. */
export interface SplitTable {
  readonly split: Split;
  readonly versions: ReadonlyMap<string, Upstream>;
  readonly choice: WeightedChoice<Upstream>;
}

export type SplitTables = ReadonlyMap<string, SplitTable>;

export const baseSplits = (snapshot: Snapshot): SplitTables => {
  const tables = new Map<string, SplitTable>();
  for (const [id, split] of Object.entries(snapshot.splits))
    tables.set(id, splitTable(split, split.choices, snapshot));
  return tables;
};

/** Decisions replace the weights of a split as a whole; one that leaves nobody a share is not believed. */
export const decidedSplits = (
  base: SplitTables,
  overlay: Iterable<DecisionBody>,
  snapshot: Snapshot,
): SplitTables => {
  let tables: Map<string, SplitTable> | undefined;
  for (const decision of overlay) {
    if (decision.type !== 'split') continue;
    const split = base.get(decision.target)?.split;
    if (split === undefined) continue;
    const choices = split.choices.map((each) => ({
      ...each,
      weight: own(decision.weights, each.version) ?? 0,
    }));
    if (!choices.some((each) => each.weight > 0)) continue;
    tables ??= new Map(base);
    tables.set(
      decision.target,
      splitTable(decidedSplit(split, decision, choices), choices, snapshot),
    );
  }
  return tables ?? base;
};

/** Whatever else was decided before is over. */
const decidedSplit = (
  { service, override, preview, cohort }: Split,
  decision: DecisionOf<'split'>,
  choices: readonly SplitChoice[],
): Split => ({
  service,
  choices,
  ...(override && { override }),
  ...(preview && { preview }),
  ...(cohort && { cohort: cohortFor(cohort, decision.cohort) }),
  ...(decision.mirror && { mirror: decision.mirror }),
});

const cohortFor = (
  { by, name, value }: NonNullable<Split['cohort']>,
  version: string | undefined,
): NonNullable<Split['cohort']> => ({
  by,
  name,
  value,
  ...(version !== undefined && { version }),
});

const splitTable = (
  split: Split,
  choices: readonly SplitChoice[],
  snapshot: Snapshot,
): SplitTable => {
  const versions = new Map<string, Upstream>();
  for (const each of choices) {
    const upstream = own(snapshot.upstreams, each.upstream);
    if (upstream && upstream.endpoints.length > 0) versions.set(each.version, upstream);
  }
  const alive = choices.filter((each) => versions.has(each.version));
  const byVersion = weightedChoice(alive, (each) => each.weight);
  return {
    split,
    versions,
    choice: {
      ...byVersion,
      items: byVersion.items.flatMap((each) => versions.get(each.version) ?? []),
    },
  };
};

/** The backends of one rule, ready to choose from. */
export interface Destination {
  readonly backends: WeightedChoice<Backend>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly salt: string;
  readonly sticky: Rule['sticky'];
}

export const destination = (
  rule: Rule,
  backends: readonly Backend[],
  snapshot: Snapshot,
): Destination => {
  const upstreams = new Map<string, Upstream>();
  for (const backend of backends) {
    if (!('upstream' in backend)) continue;
    const upstream = own(snapshot.upstreams, backend.upstream);
    if (upstream) upstreams.set(backend.upstream, upstream);
  }
  return {
    backends: weightedChoice(backends, (backend) => backend.weight),
    upstreams,
    salt: rule.id,
    sticky: rule.sticky,
  };
};

/** Undefined when nothing has a share: no weight, or no endpoints. */
export const chooseUpstream = (
  from: Destination,
  splits: SplitTables,
  exchange: Exchange,
  random: Random,
): Upstream | undefined => {
  const { backends, sticky } = from;
  const stickyKey =
    sticky === undefined || isSettled(from, splits)
      ? undefined
      : stickyKeyOf(sticky, exchange, random);
  const backend =
    backends.items.length === 1
      ? backends.items[0]
      : choose(backends, point(stickyKey, from.salt, random));
  if (backend === undefined) return undefined;
  if ('upstream' in backend) return from.upstreams.get(backend.upstream);
  return chooseVersion(splits.get(backend.split), exchange, stickyKey, random);
};

export const chooseVersion = (
  table: SplitTable | undefined,
  exchange: Exchange,
  stickyKey: string | undefined,
  random: Random,
): Upstream | undefined => {
  if (table === undefined) return undefined;
  const { split, choice, versions } = table;
  const named = namedVersion(split, exchange.request);
  const wanted = named && versions.get(named.version);
  if (wanted) return wanted;
  if (choice.items.length <= 1) return choice.items[0];
  if (stickyKey === undefined) return choose(choice, random());
  const at = pointOf(stickyKey, split.service);
  exchange.stickyPoint = at;
  return choose(choice, at);
};

/** The version that the request asks for by what it is, whatever the weights. */
export const namedVersion = (
  { override, preview, cohort }: Split,
  request: Exchange['request'],
): { readonly version: string; readonly by: 'header' | 'host' | 'cohort' } | undefined => {
  if (override !== undefined && request.header(override.header) === override.value)
    return { version: override.version, by: 'header' };
  if (preview !== undefined && request.host === preview.host)
    return { version: preview.version, by: 'host' };
  if (cohort?.version === undefined) return undefined;
  const value = cohort.by === 'header' ? request.header(cohort.name) : cookie(request, cohort.name);
  return value === cohort.value ? { version: cohort.version, by: 'cohort' } : undefined;
};

/** Who gets a copy of a request that goes to `upstream`; undefined for nobody. */
export const shadowOf = (
  splits: SplitTables,
  upstream: Upstream,
  random: Random,
): Upstream | undefined => {
  const table = splits.get(upstream.service);
  const mirror = table?.split.mirror;
  if (mirror === undefined || mirror.version === upstream.version) return undefined;
  return random() * 100 < mirror.percent ? table?.versions.get(mirror.version) : undefined;
};

const point = (stickyKey: string | undefined, salt: string, random: Random): number =>
  stickyKey === undefined ? random() : pointOf(stickyKey, salt);

/** Nothing to choose: then nobody has to be recognised, and no cookie is set. */
const isSettled = ({ backends }: Destination, splits: SplitTables): boolean => {
  if (backends.items.length > 1) return false;
  const only = backends.items[0];
  if (only === undefined || !('split' in only)) return true;
  return (splits.get(only.split)?.choice.items.length ?? 0) <= 1;
};

const stickyKeyOf = (
  sticky: NonNullable<Rule['sticky']>,
  exchange: Exchange,
  random: Random,
): string | undefined => {
  switch (sticky.by) {
    case 'header':
      return exchange.request.header(sticky.name);
    case 'caller':
      return exchange.principal ?? exchange.consumer ?? exchange.request.clientAddress;
    case 'cookie': {
      const known = cookie(exchange.request, sticky.name);
      if (known !== undefined && /^[A-Za-z0-9_-]{8,64}$/.test(known)) return known;
      const fresh = randomId(random);
      exchange.responseHeaders.push('set-cookie', stickyCookie(sticky.name, fresh, exchange));
      return fresh;
    }
    default:
      return sticky.by satisfies never;
  }
};

const THIRTY_DAYS_S = 30 * 24 * 3600;

const stickyCookie = (name: string, value: string, exchange: Exchange): string =>
  `${name}=${value}; Path=/; Max-Age=${THIRTY_DAYS_S}; HttpOnly; SameSite=Lax${
    exchange.request.scheme === 'https' ? '; Secure' : ''
  }`;

const randomId = (random: Random): string => {
  let id = '';
  while (id.length < 22) id += Math.floor(random() * 2 ** 32).toString(36);
  return id.slice(0, 22);
};
