// How much a caller may ask for, counted by this agent alone. A request that is refused does not count.
import type { QuotaPlan, Rule } from '../../model/snapshot.ts';
import type { Respond } from '../../pipeline/exchange.ts';
import { addressKey } from '../addresses.ts';
import type { Filter, FilterAction, FilterBuild, FilterExchange, FilterKind } from '../filter.ts';
import { headerIn, putHeader } from '../header-names.ts';
import { note } from '../note.ts';
import { own } from '../own.ts';
import { combinedHeader } from '../request-parts.ts';
import { type Counters, CounterTable } from './counter-table.ts';
import { type LimitNames, limitNames, policyHeader, seconds } from './quota-headers.ts';
import { advance, remaining, waitMs } from './window.ts';

interface Quota {
  readonly plan: QuotaPlan;
  readonly table: CounterTable;
  /** For requests that lack what the quota counts by: they are counted by address. */
  readonly strangers: CounterTable;
  readonly names: readonly LimitNames[];
  readonly policy: string;
}

/** Before anybody is asked who he is: limits per address. */
export const addressQuota: FilterKind = {
  name: 'address-quota',
  create: (rule, build) => filterOf(rule, build, (plan) => plan.by === 'address'),
};

/** After authorization: all other limits, so that nobody uses up what he was not admitted to. */
export const callerQuota: FilterKind = {
  name: 'caller-quota',
  create: (rule, build) => filterOf(rule, build, (plan) => plan.by !== 'address'),
};

const filterOf = (
  rule: Rule,
  build: FilterBuild,
  isMine: (plan: QuotaPlan) => boolean,
): Filter | undefined => {
  const quotas = rule.quotas.flatMap((id) => quotaOf(id, build) ?? []);
  const mine = quotas.filter(({ plan }) => plan.mode !== 'off' && isMine(plan));
  if (mine.length === 0) return undefined;
  const nowMs = calendar(build);
  return {
    request(exchange) {
      const now = nowMs();
      for (const quota of mine) {
        const action = spend(quota, exchange, now);
        if (action !== undefined) return action;
      }
      return undefined;
    },
    explain: (exchange) =>
      mine.map(({ plan }) => ({
        policy: plan.origin.resource,
        mode: plan.mode === 'audit' ? 'audit' : 'enforce',
        says: `${plan.limits.map(inWords).join(' and ')} for each ${plan.by}; here ${keyOf(plan, exchange) ?? exchange.request.clientAddress}`,
      })),
  };
};

/** Time that starts at the calendar's and then only grows, whatever the wall clock does. */
const calendar = (build: FilterBuild): (() => number) => {
  const { clock } = build.deps;
  const offset = build.keep('quota calendar', () => ({ ms: clock.now() - clock.monotonic() }));
  return () => offset.ms + clock.monotonic();
};

const quotaOf = (id: string, build: FilterBuild): Quota | undefined =>
  build.share(`quota ${id}`, () => {
    const plan = own(build.snapshot.quotas, id);
    if (plan === undefined) return undefined;
    // Other numbers of requests go on with the same counts; other windows or keys start anew.
    const windows = plan.limits.map(({ windowMs }) => windowMs);
    const basis = JSON.stringify([plan.id, plan.by, plan.header, windows]);
    return {
      plan,
      table: build.keep(`quota ${basis}`, () => new CounterTable(plan.limits)),
      strangers: build.keep(`strangers ${basis}`, () => new CounterTable(plan.limits)),
      names: limitNames(plan),
      policy: policyHeader(plan),
    };
  });

/** Undefined: the request does not say. */
const keyOf = ({ by, header }: QuotaPlan, exchange: FilterExchange): string | undefined => {
  switch (by) {
    case 'all':
      return '';
    case 'route':
      return exchange.rule.id;
    case 'address':
      return addressKey(exchange.request.clientAddress);
    case 'header':
      return combinedHeader(exchange.request, header ?? '');
    case 'caller':
      return exchange.consumer ?? exchange.principal;
    default:
      return by satisfies never;
  }
};

const countersOf = (
  { plan, table, strangers }: Quota,
  exchange: FilterExchange,
  nowMs: number,
): Counters => {
  const key = keyOf(plan, exchange);
  return key === undefined
    ? strangers.of(addressKey(exchange.request.clientAddress), nowMs)
    : table.of(key, nowMs);
};

const spend = (quota: Quota, exchange: FilterExchange, nowMs: number): FilterAction => {
  const { plan } = quota;
  const counters = countersOf(quota, exchange, nowMs);
  let exceeded = -1;
  for (let i = 0; i < counters.length; i += 1) {
    const counter = counters[i];
    const limit = plan.limits[i];
    if (counter === undefined || limit === undefined) continue;
    advance(counter, limit, nowMs);
    if (exceeded === -1 && remaining(counter, limit, plan.algorithm, nowMs) < 1) exceeded = i;
  }
  if (exceeded !== -1 && plan.mode === 'enforce') return refuse(quota, exchange, counters, nowMs);
  if (exceeded !== -1)
    note(exchange, 'audit', `${plan.origin.resource} would refuse: limit reached`);
  for (const counter of counters) counter.current += 1;
  if (plan.headers && plan.mode === 'enforce') tell(quota, exchange, counters, nowMs);
  return undefined;
};

const refuse = (
  quota: Quota,
  exchange: FilterExchange,
  counters: Counters,
  nowMs: number,
): Respond => {
  const { plan } = quota;
  let longest = 0;
  for (const [i, counter] of counters.entries()) {
    const limit = plan.limits[i];
    if (limit) longest = Math.max(longest, waitMs(counter, limit, plan.algorithm, nowMs));
  }
  exchange.notes ??= {};
  exchange.notes['policy'] = plan.origin.resource;
  if (plan.headers) {
    tell(quota, exchange, counters, nowMs);
    exchange.responseHeaders.push('retry-after', String(seconds(longest)));
  }
  return {
    type: 'respond',
    status: plan.status,
    error: 'Too Many Requests',
    reason: `the limit of ${plan.limits.map(inWords).join(', ')} is reached`,
    flag: 'RL',
    headers: [],
  };
};

const inWords = ({ requests, windowMs }: QuotaPlan['limits'][number]): string =>
  `${requests} per ${seconds(windowMs)} s`;

/** Several quotas on one route speak in one list. */
const tell = (
  { plan, names, policy }: Quota,
  { responseHeaders }: FilterExchange,
  counters: Counters,
  nowMs: number,
): void => {
  let state = '';
  for (let i = 0; i < counters.length; i += 1) {
    const counter = counters[i];
    const limit = plan.limits[i];
    const name = names[i];
    if (counter === undefined || limit === undefined || name === undefined) continue;
    const left = remaining(counter, limit, plan.algorithm, nowMs);
    const resetMs = counter.startMs + limit.windowMs - nowMs;
    state += `${state === '' ? '' : ', '}${name.policy};r=${left};t=${seconds(resetMs)}`;
    // Of two quotas with windows of one length the caller hears of the one that is nearer to its end.
    const other = headerIn(responseHeaders, name.remainingHeader);
    if (other !== undefined && Number(other) <= left) continue;
    putHeader(responseHeaders, name.limitHeader, name.requests);
    putHeader(responseHeaders, name.remainingHeader, String(left));
  }
  list(responseHeaders, 'ratelimit-policy', policy);
  list(responseHeaders, 'ratelimit', state);
};

const list = (headers: string[], name: string, value: string): void => {
  const before = headerIn(headers, name);
  putHeader(headers, name, before === undefined ? value : `${before}, ${value}`);
};
