// A rollout as text: where it stands, what both versions do, what the evidence says, and how it came here.
import type { RolloutStatus } from '#engine/model/api.ts';
import type { ArmFigures } from '#engine/model/verdict.ts';
import { formatAge, formatEvidence, formatPercent, table } from './output.ts';
import type { Session } from './session.ts';
import type { Colors } from './surroundings.ts';

type View = Pick<Session, 'colors' | 'world'>;

export const showRollouts = (rollouts: readonly RolloutStatus[], view: View): string =>
  rollouts.length === 0
    ? 'no rollouts\n'
    : rollouts.map((rollout) => showRollout(rollout, view)).join('\n');

const showRollout = (rollout: RolloutStatus, { colors, world }: View): string => {
  const { id, service, state, baseline, canary, reason, watchUntilMs } = rollout;
  const versions = canary ? `${baseline} -> ${canary}` : baseline;
  const since = formatAge(world.now() - rollout.stepStartedMs);
  const left = watchUntilMs - world.now();
  return [
    `${colors.bold(id)}  ${service}  ${versions}  ${paintState(state, colors)}\n`,
    canary ? `${traffic(rollout)}  for ${since}\n` : '',
    reason ? `${reason}\n` : '',
    left > 0 ? `watched for ${formatAge(left)} more\n` : '',
    gates(rollout),
    arms(rollout),
    evidence(rollout),
    past(rollout),
  ].join('');
};

const traffic = (rollout: RolloutStatus): string => {
  const { strategy, exposure, weight, step } = rollout;
  const version = rollout.canary ?? '';
  if (exposure === 'cohort') return `the cohort is served by ${version}`;
  if (exposure === 'mirror') return `${version} gets copies of requests, nobody sees its answers`;
  if (strategy === 'canary' || strategy === 'mirror')
    return `weight ${weight}%  ${showSteps(rollout)}`;
  return weight > 0 || step === 0 ? `weight ${weight}%` : `${version} waits beside the traffic`;
};

/** What a person has to do about it is said here, not in the reason. */
const gates = ({ id, waiting }: RolloutStatus): string =>
  waiting.some(({ gate }) => gate.startsWith('approval:'))
    ? `to agree: weir rollout approve ${id} --reason "..." (or reject)\n`
    : '';

/** Nothing more happens by itself. */
export const isEnded = (state: string): boolean => state === 'succeeded' || state === 'failed';

const paintState = (state: string, colors: Colors): string => {
  if (state === 'succeeded') return colors.green(state);
  if (state === 'failed' || state === 'rollingBack') return colors.red(state);
  return colors.yellow(state);
};

const showSteps = ({ steps, step }: RolloutStatus): string =>
  step > 0 ? `step ${step} of ${steps.length} (${steps.join(', ')})` : 'no traffic yet';

const arms = ({ arms: figures, baseline, canary }: RolloutStatus): string => {
  if (!figures) return '';
  const row = (version: string, { requests, errors, p50Ms, p99Ms }: ArmFigures) => [
    version,
    `${requests}`,
    `${errors}`,
    requests > 0 ? formatPercent(errors / requests) : '-',
    `${p50Ms.toFixed(1)}ms`,
    `${p99Ms.toFixed(1)}ms`,
  ];
  return table(
    ['VERSION', 'REQUESTS', 'ERRORS', 'ERROR RATE', 'P50', 'P99'],
    [row(baseline, figures.baseline), row(canary ?? 'canary', figures.canary)],
  );
};

const evidence = ({ evidence: found }: RolloutStatus): string => {
  if (!found) return '';
  const { rollback, rollbackAt, promote, promoteAt, culprits, requestsNeeded } = found;
  const needed = promote >= promoteAt ? '' : `: not enough evidence${more(requestsNeeded)}`;
  const blame = culprits.length > 0 ? `  because of ${culprits.join(', ')}` : '';
  return (
    `evidence for promotion ${formatEvidence(promote)} of ${formatEvidence(promoteAt)}${needed}\n` +
    `evidence for rollback  ${formatEvidence(rollback)} of ${formatEvidence(rollbackAt)}${blame}\n`
  );
};

const more = (requests: number | undefined): string =>
  requests === undefined ? '' : `, about ${requests} more requests needed`;

/** The way of this trial; what came before it is only counted. */
const past = ({ history, startedMs }: RolloutStatus): string => {
  const own = history.filter(({ atMs }) => atMs >= startedMs);
  const earlier = history.length - own.length;
  const steps = own.map(({ atMs, state, weight, reason }) => {
    const at = `+${formatAge(atMs - startedMs)}`;
    return `  ${at.padEnd(6)} ${state.padEnd(12)} ${`${weight}%`.padStart(5)}  ${reason}\n`;
  });
  return `${earlier > 0 ? `  ... ${earlier} steps of earlier trials: -o json\n` : ''}${steps.join('')}`;
};
