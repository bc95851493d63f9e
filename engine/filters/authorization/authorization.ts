// May he? Istio's model: CUSTOM before DENY before ALLOW, and a route with an ALLOW policy denies whatever no rule allows.
import type { AuthorizationSource } from '../../model/snapshot.ts';
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
import { decide, deny } from './decide.ts';
import { type CompiledPolicy, compilePolicy, RuleSet, walk } from './policy-set.ts';

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
