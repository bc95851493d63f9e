import { parseMoment } from '../../model/moment.ts';
import type { Rollout } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { checkMetrics } from './check-rollout-metrics.ts';
import { duplicates, exactlyOne } from './conflicts.ts';

export const checkRollout = ({ spec }: Rollout): readonly Finding[] => [
  ...checkSteps(spec.steps),
  ...checkStrategy(spec),
  // Answers are kept by name.
  ...duplicates(
    (spec.webhooks ?? []).map(({ name }) => name),
    'webhooks',
    (index) => ['spec', 'webhooks', index, 'name'],
  ),
  ...checkMetrics(spec.metrics ?? []),
  ...(spec.schedule ? checkSchedule(spec.schedule) : []),
];

type Spec = Rollout['spec'];

const checkSteps = (steps: Spec['steps']): readonly Finding[] =>
  steps.flatMap((step, index): Finding[] => {
    const before = steps[index - 1];
    if (before === undefined || step > before) return [];
    return [
      {
        code: 'ERR_POLICY_WEIGHTS',
        path: ['spec', 'steps', index],
        message: `step ${step} does not come after ${before}`,
        hint: 'Write percentages from small to large; promotion follows the last.',
      },
    ];
  });

/** What belongs to another strategy would do nothing. */
const checkStrategy = (spec: Spec): readonly Finding[] => {
  const { strategy, cohort } = spec;
  const findings: Finding[] = [];
  const foreign = (member: 'preview' | 'cohort' | 'mirror', owner: Spec['strategy']) => {
    if (spec[member] !== undefined && strategy !== owner)
      findings.push({
        code: 'ERR_FIELD_CONFLICT',
        path: ['spec', member],
        part: 'key',
        message: `${member} belongs to the strategy ${owner}, and this one is ${strategy}`,
        hint: `Say strategy: ${owner}, or leave ${member} out.`,
      });
  };
  foreign('preview', 'blueGreen');
  foreign('cohort', 'ab');
  foreign('mirror', 'mirror');
  if (cohort) findings.push(...exactlyOne(cohort, ['header', 'cookie'], ['spec', 'cohort']));
  else if (strategy === 'ab')
    findings.push({
      code: 'ERR_FIELD_MISSING',
      path: ['spec', 'strategy'],
      message: 'the strategy ab needs a cohort',
      hint: 'Say by which header or cookie its requests are known.',
    });
  return findings;
};

const checkSchedule = ({
  timezone,
  windows,
  freezes,
}: NonNullable<Spec['schedule']>): readonly Finding[] => {
  const path: Path = ['spec', 'schedule'];
  const findings: Finding[] = [];
  const wrong = (at: Path, message: string, hint: string) =>
    findings.push({ code: 'ERR_FIELD_VALUE', path: [...path, ...at], message, hint });
  if (!isTimezone(timezone))
    wrong(['timezone'], `there is no time zone "${timezone}"`, 'Write UTC or Europe/Berlin.');
  for (const [index, { from, to }] of windows.entries())
    if (from === to)
      wrong(['windows', index, 'to'], 'the window is empty', 'A whole day is 00:00 to 24:00.');
  for (const [index, freeze] of freezes.entries()) {
    const [from, to] = [parseMoment(freeze.from), parseMoment(freeze.to)];
    for (const [member, value] of [
      ['from', from],
      ['to', to],
    ] as const)
      if (value === undefined)
        wrong(
          ['freezes', index, member],
          `"${freeze[member]}" is no moment`,
          'Write 2026-12-18T00:00:00Z.',
        );
    if (from !== undefined && to !== undefined && to <= from)
      wrong(['freezes', index, 'to'], 'the freeze ends before it begins', 'Swap from and to.');
  }
  return findings;
};

const isTimezone = (timeZone: string): boolean => {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
};
