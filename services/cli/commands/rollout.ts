// `weir rollout`: how far a new version has come, why, and the operator's say in it.
import { Command } from 'commander';
import type { Operation, RolloutStatus } from '#engine/model/api.ts';
import type { Client } from '../client.ts';
import { CliError, exitCodes } from '../exit.ts';
import { parseMs, parseName } from '../names.ts';
import { isEnded, showRollouts } from '../rollout-view.ts';
import { waitForRollout } from '../rollout-wait.ts';
import { examples, type Session } from '../session.ts';
import { watch } from '../watch.ts';

export const rolloutCommand = (session: Session): Command => {
  const rollout = new Command('rollout')
    .description('Watch and steer rollouts of new versions')
    .addHelpText(
      'after',
      examples(
        ['weir rollout status --watch', 'weight, evidence and each step, live'],
        ['weir rollout abort bibby/catalog --reason "wrong build"', 'all traffic back at once'],
        ['weir rollout undo bibby/catalog --reason "memory leak"', 'back after a promotion'],
      ),
    );
  rollout.addCommand(statusOf(session));
  for (const [verb, description] of Object.entries(steering))
    rollout.addCommand(steer(session, verb as keyof typeof steering, description));
  return rollout;
};

const steering = {
  start: 'Start a rollout of a version',
  promote: 'Give the new version all traffic now, whatever the evidence',
  abort: 'Give all traffic back to the baseline now',
  pause: 'Hold the weight where it is',
  resume: 'Go on after a pause',
  skip: 'Take the next step now',
  retry: 'Try a rolled back or aborted version again',
  approve: 'Agree to what the rollout waits for',
  reject: 'Do not agree: all traffic back to the baseline',
  undo: 'Take a promotion back: all traffic to the version before',
} as const;

interface SteerOptions {
  readonly reason?: string;
  readonly to?: string;
  readonly wait?: true;
  readonly timeout?: string;
}

const statusOf = (session: Session): Command =>
  new Command('status')
    .description('Show rollouts: weight, figures of both versions, evidence and history')
    .argument('[name]', 'NAME or NAMESPACE/NAME; all of them by default')
    .option('-w, --watch', 'until the rollout has ended; exit code 1 unless it succeeded')
    .addHelpText(
      'after',
      examples(
        ['weir rollout status', 'all rollouts'],
        ['weir rollout status bibby/catalog --watch', 'one of them, until it has ended'],
      ),
    )
    .action(async (text: string | undefined, options: { watch?: true }) => {
      const client = session.client();
      const request = text === undefined ? {} : parseName(text, session.options.namespace);
      let rollouts: readonly RolloutStatus[] = [];
      const look = async () => {
        const answer = await client.call('rollout.status', request);
        rollouts = answer.rollouts;
        const isFinal = rollouts.length > 0 && rollouts.every(({ state }) => isEnded(state));
        return { value: answer, text: () => showRollouts(rollouts, session), isFinal };
      };
      if (!options.watch) {
        const { value, text: show } = await look();
        return session.print(value, show);
      }
      await watch(session, look);
      const bad = rollouts.find(({ state }) => isEnded(state) && state !== 'succeeded');
      if (bad) throw new CliError(exitCodes.failed, `${bad.id} has ${bad.state}: ${bad.reason}`);
    });

const steer = (session: Session, verb: keyof typeof steering, description: string): Command => {
  const command = new Command(verb)
    .description(description)
    .argument('[name]', 'NAME or NAMESPACE/NAME; may be left out when there is only one')
    .option('--reason <text>', 'why, for the history');
  if (verb === 'promote') command.alias('promote-full');
  if (verb === 'start')
    command.option('--to <version>', 'the version to roll out; by default the newest that runs');
  if (verb === 'start' || verb === 'retry')
    command
      .option('--wait', 'until it is promoted (exit code 0) or not (1)')
      .option('--timeout <duration>', 'how long --wait waits before exit code 5', '1h');
  return command
    .addHelpText(
      'after',
      examples(
        [`weir rollout ${verb} bibby/catalog`, description],
        ...(verb === 'start' ? [forPipelines] : []),
      ),
    )
    .action(async (text: string | undefined, options: SteerOptions) => {
      const { wait, timeout = '1h', to, ...words } = options;
      const request = to === undefined ? words : { ...words, version: to };
      const timeoutMs = parseMs(timeout);
      const client = session.client();
      const target = text
        ? parseName(text, session.options.namespace)
        : await onlyRollout(client, session.options.namespace);
      const operation: Operation = `rollout.${verb}`;
      const answer = await client.call(operation, { ...target, ...request });
      const [begun] = answer.rollouts;
      if (wait && begun) return waitForRollout(session, client, begun, timeoutMs);
      session.print(answer, () => showRollouts(answer.rollouts, session));
    });
};

const forPipelines = [
  'weir rollout start bibby/catalog --to v1.1 --wait --timeout 30m',
  'for a pipeline: exit code 0 promoted, 1 rolled back, 5 neither in time',
] as const;

const onlyRollout = async (client: Client, namespace: string | undefined) => {
  const { rollouts } = await client.call('rollout.status', { namespace });
  const [only, ...more] = rollouts;
  if (!only) throw new CliError(exitCodes.failed, 'There is no rollout.');
  if (more.length > 0)
    throw new CliError(exitCodes.usage, 'There is more than one rollout; say which.', {
      hint: rollouts.map(({ id }) => id).join(', '),
    });
  return parseName(only.id, undefined);
};
