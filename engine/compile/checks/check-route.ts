import type { Route } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { regexObjection } from '../regex/objection.ts';
import { type RuleSpec, ruleNameOf } from '../routing/route-rules.ts';
import { duplicates, exactlyOne } from './conflicts.ts';

type MatchSpec = NonNullable<RuleSpec['matches']>[number];
type CorsSpec = NonNullable<RuleSpec['cors']>;

const pathKinds = ['exact', 'prefix', 'stringPrefix', 'regex', 'regexStart'] as const;
const valueKinds = ['exact', 'prefix', 'regex', 'present'] as const;

export const checkRoute = ({ spec }: Route): readonly Finding[] => [
  ...duplicates(spec.rules.map(ruleNameOf), 'rules', (index) => ['spec', 'rules', index, 'name']),
  ...spec.rules.flatMap((rule, index) => checkRule(rule, ['spec', 'rules', index])),
];

const checkRule = (rule: RuleSpec, path: Path): readonly Finding[] => [
  ...exactlyOne(rule, ['backends', 'redirect', 'respond'], path),
  ...(rule.matches ?? []).flatMap((match, index) => checkMatch(match, [...path, 'matches', index])),
  ...checkWeights(rule, path),
  ...checkRewrite(rule, path),
  ...(rule.cors ? checkCors(rule.cors, [...path, 'cors']) : []),
  ...(rule.sticky
    ? exactlyOne(rule.sticky, ['cookie', 'header', 'caller'], [...path, 'sticky'])
    : []),
];

const checkMatch = (match: MatchSpec, path: Path): readonly Finding[] => {
  const findings: Finding[] = [];
  if (match.path) {
    findings.push(...exactlyOne(match.path, pathKinds, [...path, 'path']));
    for (const kind of ['regex', 'regexStart'] as const)
      findings.push(...checkRegex(match.path[kind], [...path, 'path', kind]));
  }
  for (const place of ['headers', 'query', 'cookies'] as const)
    for (const [index, named] of (match[place] ?? []).entries()) {
      const at = [...path, place, index];
      findings.push(...exactlyOne(named, valueKinds, at));
      findings.push(...checkRegex(named.regex, [...at, 'regex']));
    }
  return findings;
};

const checkRegex = (pattern: string | undefined, path: Path): readonly Finding[] => {
  const objection = pattern === undefined ? undefined : regexObjection(pattern);
  if (objection === undefined) return [];
  return [
    {
      code: 'ERR_POLICY_REGEX',
      path,
      message: `the pattern ${objection.reason}`,
      hint: objection.hint,
    },
  ];
};

const checkWeights = ({ backends }: RuleSpec, path: Path): readonly Finding[] =>
  backends?.every(({ weight }) => weight === 0)
    ? [
        {
          code: 'ERR_POLICY_WEIGHTS',
          path: [...path, 'backends'],
          message: 'all weights are 0, so no backend would get any traffic',
          hint: 'Give one backend a weight above 0; shares are weight divided by the sum.',
        },
      ]
    : [];

const checkRewrite = (rule: RuleSpec, path: Path): readonly Finding[] => {
  const { strip, rewrite, backends } = rule;
  if (!backends && (strip || rewrite))
    return [
      {
        code: 'ERR_FIELD_CONFLICT',
        path: [...path, strip ? 'strip' : 'rewrite'],
        part: 'key',
        message: 'only a rule that forwards can change the path',
        hint: 'Leave it out, or give the rule backends.',
      },
    ];
  const replaced = [strip && 'strip', rewrite?.prefix && 'rewrite.prefix'].filter(Boolean);
  if (rewrite?.path !== undefined && replaced.length > 0)
    return [
      {
        code: 'ERR_FIELD_CONFLICT',
        path: [...path, 'rewrite', 'path'],
        part: 'key',
        message: `rewrite.path replaces the whole path, so ${replaced.join(' and ')} would do nothing`,
        hint: 'Keep one of them.',
      },
    ];
  const isRegex = rule.matches?.some(
    (match) => match.path?.regex !== undefined || match.path?.regexStart !== undefined,
  );
  if (!isRegex || replaced.length === 0) return [];
  return [
    {
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, ...(strip ? ['strip'] : ['rewrite', 'prefix'])],
      part: 'key',
      message: `${replaced[0]} needs a prefix to replace, and a pattern has none`,
      hint: 'Match by prefix, or use rewrite.path.',
    },
  ];
};

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(\*\.)?[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?(:\d{1,5})?$/i;

const checkCors = (cors: CorsSpec, path: Path): readonly Finding[] => {
  const findings: Finding[] = [];
  for (const [index, origin] of cors.origins.entries())
    if (origin !== '*' && !ORIGIN.test(origin))
      findings.push({
        code: 'ERR_FIELD_VALUE',
        path: [...path, 'origins', index],
        message: `"${origin}" is no origin`,
        hint: 'Write https://app.example.com, https://*.example.com, or * for any.',
      });
  const any = cors.origins.indexOf('*');
  if (any !== -1 && cors.credentials)
    findings.push({
      code: 'ERR_POLICY_CORS_CREDENTIALS',
      path: [...path, 'origins', any],
      message: 'any origin together with credentials would let every site act for the user',
      hint: 'List the origins, or set credentials to false.',
    });
  return findings;
};
