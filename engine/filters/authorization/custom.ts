// CUSTOM: another service decides, before any DENY or ALLOW is looked at. It can only refuse; who passes here has still to
// pass the rest.
import type { CallOutPlan } from '../../model/snapshot.ts';
import type { Web } from '../../ports/web.ts';
import { adoptAnswer, askAuthorizer, authorizerAway } from '../ask-authorizer.ts';
import type { FilterAction, FilterExchange } from '../filter.ts';
import { note } from '../note.ts';
import { type CompiledPolicy, type Finding, RuleSet } from './policy-set.ts';

interface Question {
  readonly provider: CallOutPlan;
  readonly rules: RuleSet;
  readonly isAudit: boolean;
}

/** Undefined: nobody is to be asked about this request, so it need not wait. */
export type CustomDecision = (exchange: FilterExchange) => Promise<FilterAction> | undefined;

export const customDecision = (
  policies: readonly CompiledPolicy[],
  web: Web | undefined,
): CustomDecision | undefined => {
  const questions = policies.flatMap((policy) => questionOf(policy));
  if (questions.length === 0) return undefined;
  return (exchange) => {
    const due = questions.flatMap((question) => {
      const finding = question.rules.find(exchange);
      return finding === undefined ? [] : { question, finding };
    });
    return due.length === 0 ? undefined : askAll(due, exchange, web);
  };
};

const questionOf = (policy: CompiledPolicy): readonly Question[] => {
  const { action, provider, mode } = policy.plan;
  if (action !== 'CUSTOM' || provider === undefined) return [];
  return [{ provider, rules: new RuleSet([policy]), isAudit: mode === 'audit' }];
};

interface Due {
  readonly question: Question;
  readonly finding: Finding;
}

const askAll = async (
  due: readonly Due[],
  exchange: FilterExchange,
  web: Web | undefined,
): Promise<FilterAction> => {
  const asked = new Set<string>();
  for (const { question, finding } of due) {
    const key = JSON.stringify([question.provider, question.isAudit]);
    if (asked.has(key)) continue;
    asked.add(key);
    const refused = await ask(question, finding, exchange, web);
    if (refused !== undefined) return refused;
  }
  return undefined;
};

const ask = async (
  { provider, isAudit }: Question,
  { policy, rule }: Finding,
  exchange: FilterExchange,
  web: Web | undefined,
): Promise<FilterAction> => {
  const verdict = await askAuthorizer(provider, exchange, web);
  const { resource } = policy.plan.origin;
  if (isAudit) {
    if (verdict.type !== 'pass') note(exchange, 'audit', `${resource} rule ${rule} would refuse`);
    return undefined;
  }
  if (verdict.type === 'pass') {
    adoptAnswer(provider, exchange, verdict.answer);
    return undefined;
  }
  if (verdict.type === 'silence' && provider.onFailure === 'open') {
    note(exchange, 'authorization', `${resource}: unasked: ${verdict.reason}`);
    return undefined;
  }
  note(exchange, 'policy', resource);
  note(exchange, 'rule', String(rule));
  if (verdict.type === 'refuse') return verdict.respond;
  note(exchange, 'cause', verdict.reason);
  return authorizerAway;
};
