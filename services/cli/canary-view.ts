// A policy canary as text: who tries which revision, what it answers beside the rest, and how it came here.
import type {
  CohortArm,
  PolicyCanaryPhase,
  PolicyCanaryStatus,
} from '#engine/model/policy-canary.ts';
import { formatAge, formatEvidence, table } from './output.ts';
import type { Session } from './session.ts';

type View = Pick<Session, 'colors' | 'world'>;

/** Nothing more happens by itself. */
export const isOver = (state: PolicyCanaryPhase): boolean =>
  state !== 'spreading' && state !== 'watching' && state !== 'promoting';

export const showCanary = (canary: PolicyCanaryStatus | undefined, view: View): string => {
  if (!canary) return 'no policy canary\n';
  const { revision, author, message, state, changed, cohorts, deadlineMs, reason } = canary;
  const { colors, world } = view;
  const paint = state === 'promoted' ? colors.green : isOver(state) ? colors.red : colors.yellow;
  const left = deadlineMs - world.now();
  return [
    `${colors.bold(`r${revision}`)}  by ${author}  ${paint(state)}${message ? `  ${message}` : ''}\n`,
    `changes ${changed.join(', ')}\n`,
    ...cohorts.map(
      ({ scope, agents, of }) =>
        `${scope}: tried by ${agents.join(', ')} (${agents.length} of ${of})\n`,
    ),
    `${reason}\n`,
    isOver(state) ? '' : `decided within ${formatAge(Math.max(0, left))}, or taken back\n`,
    figures(canary),
    ...canary.history.map((entry) => step(canary, entry)),
  ].join('');
};

/** `+12s   watching    its agents have it` */
export const step = (
  { startedMs }: PolicyCanaryStatus,
  { atMs, state, reason }: PolicyCanaryStatus['history'][number],
): string => {
  const at = `+${formatAge(Math.max(0, atMs - startedMs))}`;
  return `  ${at.padEnd(6)} ${state.padEnd(12)}  ${reason}\n`;
};

const figures = ({ verdict }: PolicyCanaryStatus): string => {
  if (!verdict) return '';
  const row = (scope: string, who: string, arm: CohortArm, more: readonly string[]) => [
    scope,
    who,
    `${arm.requests}`,
    `${arm.refused}`,
    `${arm.failed}`,
    `${arm.p50Ms.toFixed(1)}ms`,
    `${arm.p99Ms.toFixed(1)}ms`,
    ...more,
  ];
  return table(
    ['SCOPE', 'WHO', 'REQUESTS', '4XX', '5XX', 'P50', 'P99', 'WORSE', 'NOT WORSE'],
    verdict.scopes.flatMap((one) => [
      row(one.scope, 'cohort', one.cohort, [
        `${formatEvidence(one.revert)} of ${formatEvidence(one.revertAt)}`,
        `${formatEvidence(one.promote)} of ${formatEvidence(one.promoteAt)}`,
      ]),
      row('', 'rest', one.rest, ['', '']),
    ]),
  );
};
