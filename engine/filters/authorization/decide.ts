// DENY before ALLOW, AUDIT beside them: what the rules of many policies say together.
import type { AuthorizationPlan } from '../../model/snapshot.ts';
import type { Respond } from '../../pipeline/exchange.ts';
import type { FilterAction } from '../filter.ts';
import { note } from '../note.ts';
import type { Judged } from './judged.ts';
import { type CompiledPolicy, type Finding, RuleSet } from './policy-set.ts';

export const decide = (
  policies: readonly CompiledPolicy[],
): ((exchange: Judged) => FilterAction) => {
  const pick = (action: AuthorizationPlan['action'], mode: AuthorizationPlan['mode']) =>
    new RuleSet(policies.filter(({ plan }) => plan.action === action && plan.mode === mode));
  const denying = pick('DENY', 'enforce');
  const allowing = pick('ALLOW', 'enforce');
  const rehearsal = rehearse(policies, allowing);
  const closedBy = namesOf(allowing);
  return (exchange) => {
    rehearsal?.(exchange);
    const denied = denying.size > 0 ? denying.find(exchange) : undefined;
    if (denied !== undefined) return deny(exchange, denied);
    if (allowing.size === 0 || allowing.find(exchange) !== undefined) return undefined;
    note(exchange, 'policy', closedBy);
    note(exchange, 'reason', NO_RULE);
    return refusal;
  };
};

/** What AUDIT policies and policies in audit mode have to say: it is written down and changes nothing. */
const rehearse = (
  policies: readonly CompiledPolicy[],
  allowing: RuleSet,
): ((exchange: Judged) => void) | undefined => {
  const watching = new RuleSet(policies.filter(({ plan }) => plan.action === 'AUDIT'));
  const audited = policies.filter(({ plan }) => plan.mode === 'audit');
  const denying = new RuleSet(audited.filter(({ plan }) => plan.action === 'DENY'));
  const wouldAllow = new RuleSet(audited.filter(({ plan }) => plan.action === 'ALLOW'));
  const wouldClose = `${namesOf(wouldAllow)} would deny: ${NO_RULE}`;
  if (watching.size + denying.size + wouldAllow.size === 0) return undefined;
  return (exchange) => {
    const seen = watching.find(exchange);
    if (seen) note(exchange, 'audit', `${name(seen)} matches`);
    const denied = denying.find(exchange);
    if (denied) note(exchange, 'audit', `${name(denied)} would deny`);
    else if (wouldAllow.size > 0 && !wouldAllow.find(exchange) && !allowing.find(exchange))
      note(exchange, 'audit', wouldClose);
  };
};

export const deny = (exchange: Judged, finding: Finding): Respond => {
  note(exchange, 'policy', finding.policy.plan.origin.resource);
  note(exchange, 'rule', String(finding.rule));
  return refusal;
};

const NO_RULE = 'no rule allows it';

const refusal: Respond = {
  type: 'respond',
  status: 403,
  error: 'Forbidden',
  reason: 'RBAC: access denied',
  flag: 'UAEX',
  headers: [],
};

const name = ({ policy, rule }: Finding): string => `${policy.plan.origin.resource} rule ${rule}`;

const MAX_NAMES_LENGTH = 300;

/** Of the policies that made it a matter of permission. */
const namesOf = ({ policies }: RuleSet): string => {
  const names = policies.map(({ plan }) => plan.origin.resource);
  let text = names[0] ?? '';
  for (const [index, each] of names.slice(1).entries()) {
    if (text.length + each.length > MAX_NAMES_LENGTH)
      return `${text} and ${names.length - index - 1} more`;
    text += `, ${each}`;
  }
  return text;
};
