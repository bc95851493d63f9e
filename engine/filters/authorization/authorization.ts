// May he? Istio's model: CUSTOM before DENY before ALLOW, and a route with an ALLOW policy denies whatever no rule allows.
import type { AuthorizationPlan, AuthorizationSource } from '../../model/snapshot.ts';
import type { Respond } from '../../pipeline/exchange.ts';
import type {
  Filter,
  FilterAction,
  FilterBuild,
  FilterExchange,
  FilterKind,
  Remark,
} from '../filter.ts';
import { own } from '../own.ts';
import { customDecision } from './custom.ts';
import { note } from './notes.ts';
import { type CompiledPolicy, compilePolicy, type Finding, RuleSet, walk } from './policy-set.ts';

/** Step 7: DENY policies about addresses need not know who is calling, so they spare the check of his token. */
export const addressRules: FilterKind = {
  name: 'address-rules',
  create(rule, build) {
    const policies = policiesOf(rule.authorizations, build).filter(isAboutAddresses);
    if (policies.length === 0) return undefined;
    const key = policies.map(({ plan }) => plan.origin.resource).join();
    const denying = build.share(`address rules ${key}`, () => new RuleSet(policies));
    return {
      request(exchange) {
        const finding = denying.find(exchange);
        return finding && deny(exchange, finding);
      },
      explain: (exchange) => policies.map((policy) => remark(policy, exchange)),
    };
  },
};

/** Step 9. */
export const authorization: FilterKind = {
  name: 'authorization',
  create(rule, build) {
    const policies = policiesOf(rule.authorizations, build).filter(
      (policy) => !isAboutAddresses(policy),
    );
    if (policies.length === 0) return undefined;
    const decision = build.share(`authorization ${JSON.stringify(rule.authorizations)}`, () =>
      afterCustom(policies, build, decide(policies)),
    );
    return {
      request: decision,
      explain: (exchange) => policies.map((policy) => remark(policy, exchange)),
    };
  },
};

type Decision = NonNullable<Filter['request']>;

const afterCustom = (
  policies: readonly CompiledPolicy[],
  { deps }: FilterBuild,
  decision: (exchange: FilterExchange) => FilterAction,
): Decision => {
  const custom = customDecision(policies, deps.web);
  if (custom === undefined) return decision;
  return (exchange) => {
    const late = custom(exchange);
    return late === undefined ? decision(exchange) : late.then((no) => no ?? decision(exchange));
  };
};

const policiesOf = (ids: readonly string[], build: FilterBuild): readonly CompiledPolicy[] =>
  ids.flatMap((id) => {
    const plan = own(build.snapshot.authorizations, id);
    if (plan === undefined || plan.mode === 'off') return [];
    return build.share(`authorization policy ${id}`, () =>
      compilePolicy(plan, () => build.deps.clock.now()),
    );
  });

const decide = (
  policies: readonly CompiledPolicy[],
): ((exchange: FilterExchange) => FilterAction) => {
  const pick = (action: AuthorizationPlan['action'], mode: AuthorizationPlan['mode']) =>
    new RuleSet(policies.filter(({ plan }) => plan.action === action && plan.mode === mode));
  const denying = pick('DENY', 'enforce');
  const allowing = pick('ALLOW', 'enforce');
  const rehearsal = rehearse(policies, allowing);
  return (exchange) => {
    rehearsal?.(exchange);
    const denied = denying.size > 0 ? denying.find(exchange) : undefined;
    if (denied !== undefined) return deny(exchange, denied);
    if (allowing.size === 0) return undefined;
    return allowing.find(exchange) === undefined ? deny(exchange, undefined) : undefined;
  };
};

/** What AUDIT policies and policies in audit mode have to say: it is written down and changes nothing. */
const rehearse = (
  policies: readonly CompiledPolicy[],
  allowing: RuleSet,
): ((exchange: FilterExchange) => void) | undefined => {
  const watching = new RuleSet(policies.filter(({ plan }) => plan.action === 'AUDIT'));
  const audited = policies.filter(({ plan }) => plan.mode === 'audit');
  const denying = new RuleSet(audited.filter(({ plan }) => plan.action === 'DENY'));
  const wouldAllow = new RuleSet(audited.filter(({ plan }) => plan.action === 'ALLOW'));
  if (watching.size + denying.size + wouldAllow.size === 0) return undefined;
  return (exchange) => {
    const seen = watching.find(exchange);
    if (seen) note(exchange, 'audit', `${name(seen)} matches`);
    const denied = denying.find(exchange);
    if (denied) note(exchange, 'audit', `${name(denied)} would deny`);
    else if (wouldAllow.size > 0 && !wouldAllow.find(exchange) && !allowing.find(exchange))
      note(exchange, 'audit', 'no ALLOW policy would allow it');
  };
};

const deny = (exchange: FilterExchange, finding: Finding | undefined): Respond => {
  note(exchange, 'policy', finding?.policy.plan.origin.resource ?? 'no ALLOW policy matches');
  if (finding) note(exchange, 'rule', String(finding.rule));
  return denied;
};

const denied: Respond = {
  type: 'respond',
  status: 403,
  error: 'Forbidden',
  reason: 'RBAC: access denied',
  flag: 'UAEX',
  headers: [],
};

const name = ({ policy, rule }: Finding): string => `${policy.plan.origin.resource} rule ${rule}`;

const remark = (policy: CompiledPolicy, exchange: FilterExchange): Remark => {
  const { origin, action, mode } = policy.plan;
  const rule = walk(policy, exchange);
  const says = rule === -1 ? `${action}: no rule matches` : `${action}: rule ${rule} matches`;
  return {
    policy: origin.resource,
    mode: mode === 'audit' ? 'audit' : 'enforce',
    says,
    ...(rule === -1 ? {} : { rule }),
  };
};

const isAboutAddresses = ({ plan }: CompiledPolicy): boolean =>
  plan.action === 'DENY' &&
  plan.mode === 'enforce' &&
  plan.rules.every(
    ({ from, when, cel }) =>
      from !== undefined &&
      cel === undefined &&
      from.every(hasOnlyAddresses) &&
      (when ?? []).every(({ key }) => !key.startsWith('request.auth.')),
  );

const addressFields: ReadonlySet<string> = new Set<keyof AuthorizationSource>([
  'ipBlocks',
  'notIpBlocks',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
]);

const hasOnlyAddresses = (source: AuthorizationSource): boolean =>
  Object.keys(source).every((field) => addressFields.has(field));
