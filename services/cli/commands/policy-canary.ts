// `weir policy-canary`: how far a revision on trial has come, why, and the operator's say in it.
import { Command } from 'commander';
import type { PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import { isOver, showCanary } from '../canary-view.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';
import { watch } from '../watch.ts';

export const policyCanaryCommand = (session: Session): Command => {
  const canary = new Command('policy-canary')
    .description('Watch and steer a policy revision that some agents try')
    .addHelpText(
      'after',
      examples(
        ['weir apply -f policies/ --canary', 'begins one'],
        ['weir policy-canary status --watch', 'figures of both sides and each step, live'],
        ['weir policy-canary abort --reason "wrong file"', 'every agent back at once'],
      ),
    );
  canary.addCommand(status(session));
  for (const verb of ['promote', 'abort'] as const) canary.addCommand(steer(session, verb));
  return canary;
};

const status = (session: Session): Command =>
  new Command('status')
    .description('Show who tries which revision, the figures, the evidence and the history')
    .option('-w, --watch', 'until it is decided; exit code 1 unless it was promoted')
    .addHelpText('after', examples(['weir policy-canary status', 'the last one']))
    .action(async (options: { watch?: true }) => {
      const client = session.client();
      let last: PolicyCanaryStatus | undefined;
      const look = async () => {
        const answer = await client.call('policy-canary.status');
        last = answer.canary;
        const text = () => showCanary(last, session);
        return { value: answer, text, isFinal: !last || isOver(last.state) };
      };
      if (!options.watch) {
        const { value, text } = await look();
        return session.print(value, text);
      }
      await watch(session, look);
      if (last && isOver(last.state) && last.state !== 'promoted')
        throw new CliError(exitCodes.failed, `r${last.revision} is ${last.state}: ${last.reason}`);
    });

const about = {
  promote: 'Give the revision to every agent now, whatever the evidence',
  abort: 'Take the revision back from its agents now',
} as const;

const steer = (session: Session, verb: keyof typeof about): Command =>
  new Command(verb)
    .description(about[verb])
    .option('--reason <text>', 'why, for the record')
    .addHelpText('after', examples([`weir policy-canary ${verb}`, about[verb].toLowerCase()]))
    .action(async (options: { reason?: string }) => {
      const answer = await session.client().call(`policy-canary.${verb}`, options);
      session.print(answer, () => showCanary(answer.canary, session));
    });
