// The rollout as the demo tells it: one block for a terminal, one line for a log, one line per step.
import type { RolloutStatus } from '#engine/model/api.ts';
import type { ArmFigures } from '#engine/model/verdict.ts';
import type { Totals } from './tally.ts';

export type Readers = (Totals & { readonly p99Ms: number }) | undefined;

const BAR = 24;

export const rolloutBlock = (rollout: RolloutStatus | undefined, readers: Readers): string[] => {
  const lines = [''];
  if (readers) lines.push(readersLine(readers));
  if (!rollout?.canary) return lines;
  const { baseline, canary, weight, arms, evidence } = rollout;
  lines.push(
    `rollout   ${rollout.service}  ${baseline} -> ${canary}  ${rollout.state}`,
    `weight    ${bar(weight / 100)} ${weight}% to ${canary}   steps ${rollout.steps.join(', ')}`,
  );
  if (arms) lines.push(...armTable([baseline, arms.baseline], [canary, arms.canary]));
  if (evidence)
    lines.push(
      `promote   ${evidenceBar(evidence.promote, evidence.promoteAt)}`,
      `rollback  ${evidenceBar(evidence.rollback, evidence.rollbackAt)}`,
    );
  for (const [place, part] of rollout.reason.split('; ').entries())
    lines.push(`${place === 0 ? 'now' : ''}`.padEnd(10) + part);
  return lines;
};

export const rolloutLine = (rollout: RolloutStatus, readers: Readers): string => {
  const { baseline, canary, weight, state, arms, evidence } = rollout;
  const parts = [`${state} weight=${weight}%`];
  if (arms) {
    parts.push(armLine(baseline, arms.baseline), armLine(canary ?? 'canary', arms.canary));
  }
  if (evidence)
    parts.push(
      `promote e=${number(evidence.promote)}/${number(evidence.promoteAt)} ` +
        `rollback e=${number(evidence.rollback)}/${number(evidence.rollbackAt)}`,
    );
  if (readers) parts.push(`readers ${readers.sent} sent, ${readers.failed + readers.lost} failed`);
  return parts.join(' | ');
};

/** What happened since the last step that was told, one line each. */
export const newSteps = (rollout: RolloutStatus, saidMs: number): string[] =>
  rollout.history
    .filter(({ atMs }) => atMs > saidMs)
    .map(
      ({ atMs, state, weight, reason }) =>
        `${clock(atMs)} ${state}: ${rollout.canary ?? 'new version'} at ${weight}% (${reason})`,
    );

const readersLine = ({ sent, failed, lost, refused, p99Ms }: NonNullable<Readers>): string =>
  `readers   ${sent} requests, ${failed + lost} failed, ${refused} refused, p99 ${p99Ms.toFixed(1)} ms`;

const armTable = (...arms: readonly (readonly [string, ArmFigures])[]): string[] =>
  arms.map(([version, figures]) => {
    const { requests, errors, p99Ms } = figures;
    const rate = requests > 0 ? `${((100 * errors) / requests).toFixed(2)}%` : '-';
    return `${version.padEnd(9)} ${String(requests).padStart(7)} requests  ${rate.padStart(6)} errors  p99 ${p99Ms.toFixed(1).padStart(6)} ms`;
  });

const armLine = (version: string, { requests, errors, p99Ms }: ArmFigures): string =>
  `${version} ${requests} req ${errors} err p99 ${p99Ms.toFixed(1)} ms`;

/** On a logarithmic scale, as evidence multiplies: 1 is none, the threshold is a full bar. */
const evidenceBar = (value: number, at: number): string =>
  `${bar(Math.log(Math.max(value, 1)) / Math.log(at))} e-value ${number(value)} of ${number(at)}`;

const bar = (share: number): string => {
  const full = Math.round(Math.min(Math.max(share, 0), 1) * BAR);
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
};

const number = (value: number): string => {
  if (value >= 1e5) return value.toExponential(1);
  return value >= 10 ? value.toFixed(0) : value.toFixed(2);
};

const clock = (atMs: number): string => new Date(atMs).toTimeString().slice(0, 8);
