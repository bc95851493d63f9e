import { isExpression, parseExpression } from '../../model/expression.ts';
import type { Authorization } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { regexObjection } from '../regex/objection.ts';
import { checkBlock, checkCondition, checkOperation } from './conditions.ts';
import { exactlyOne } from './conflicts.ts';

type RuleSpec = Authorization['spec']['rules'][number];

const blockLists = ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const;
export const checkAuthorization = ({ spec }: Authorization): readonly Finding[] => [
  ...spec.rules.flatMap((rule, index) => checkRule(rule, ['spec', 'rules', index])),
  ...(spec.action === 'CUSTOM' && !spec.provider ? exactlyOne(spec, ['provider'], ['spec']) : []),
];

const checkRule = (rule: RuleSpec, path: Path): readonly Finding[] => {
  const findings: Finding[] = [];
  for (const [place, { source }] of (rule.from ?? []).entries())
    for (const list of blockLists)
      for (const [item, block] of (source[list] ?? []).entries())
        findings.push(...checkBlock(block, [...path, 'from', place, 'source', list, item]));
  for (const [place, { operation }] of (rule.to ?? []).entries())
    findings.push(...checkOperation(operation, [...path, 'to', place, 'operation']));
  for (const [place, condition] of (rule.when ?? []).entries()) {
    const at = [...path, 'when', place];
    findings.push(...checkCondition(condition, at));
    if (!condition.values && !condition.notValues)
      findings.push({
        code: 'ERR_FIELD_MISSING',
        path: at,
        message: 'values or notValues is needed here',
        hint: 'Say what the attribute must be among, what it must not, or both.',
      });
  }
  if (rule.cel !== undefined) findings.push(...checkExpression(rule.cel, [...path, 'cel']));
  return findings;
};

const checkExpression = (source: string, path: Path): readonly Finding[] => {
  const refuse = (message: string, at: number, hint: string): Finding => ({
    code: 'ERR_POLICY_EXPRESSION',
    path,
    message: `${placeIn(source, at)}: ${message}`,
    hint,
  });
  const expression = parseExpression(source);
  if (!isExpression(expression))
    return [
      refuse(expression.message, expression.at, 'docs/authorization.md lists what there is.'),
    ];
  return expression.patterns.flatMap(({ pattern, at }) => {
    const objection = regexObjection(pattern) ?? unanchoredObjection(pattern);
    return objection ? [refuse(`the pattern ${objection.reason}`, at, objection.hint)] : [];
  });
};

/** `matches` looks for the pattern anywhere, so one that begins with a repeat is tried from every place. */
const unanchoredObjection = (pattern: string): ReturnType<typeof regexObjection> =>
  isAnchored(pattern) || regexObjection(`[^]*(?:${pattern})`) === undefined
    ? undefined
    : {
        reason: 'can take quadratic time, because it may begin anywhere',
        hint: 'Begin it with ^, and put alternatives in brackets: ^(a|b).',
      };

/** A bar outside brackets would begin an alternative that the ^ does not hold. */
const isAnchored = (pattern: string): boolean => {
  if (!pattern.startsWith('^')) return false;
  const plain = pattern.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs, '');
  let depth = 0;
  for (const char of plain) {
    if (char === '(') depth += 1;
    else if (char === ')') depth -= 1;
    else if (char === '|' && depth === 0) return false;
  }
  return true;
};

const placeIn = (source: string, at: number): string => {
  const before = source.slice(0, at).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return before.length === 1
    ? `at character ${column}`
    : `in line ${before.length}, at character ${column}`;
};
