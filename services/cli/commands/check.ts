// `weir check`: what is wrong with this installation, and what to do about it.
import { Command } from 'commander';
import { checkControl } from '../check/control.ts';
import type { Finding } from '../check/finding.ts';
import { busAddress, checkCredentials, checkNode, checkPackages, noBus } from '../check/local.ts';
import { checkBus, checkPort } from '../check/network.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

export const checkCommand = (session: Session): Command =>
  new Command('check')
    .description('Find out what is wrong with this installation')
    .addHelpText('after', examples(['weir check', 'exit code 1 if something is wrong']))
    .action(async () => {
      const findings = await look(session);
      session.print({ findings }, () => findings.map((one) => show(one, session)).join(''));
      const count = findings.filter(({ state }) => state === 'wrong').length;
      if (count > 0)
        throw new CliError(
          exitCodes.failed,
          `${count} thing${count === 1 ? ' is' : 's are'} wrong.`,
        );
    });

const look = async (session: Session): Promise<Finding[]> => {
  const { home, world } = session;
  const bus = busAddress(home, world.env);
  const control = await checkControl(session.client(), world.now());
  const runs = control[0]?.state === 'ok';
  return [
    checkNode(process.versions.node),
    checkPackages(world.root),
    ...checkCredentials(home),
    bus ? await checkBus(bus) : noBus(home),
    ...control,
    ...(runs ? [] : [await checkPort(7400), await checkPort(8080)]),
  ];
};

const show = ({ name, state, detail, hint }: Finding, { colors }: Session): string => {
  const mark = {
    ok: colors.green('ok     '),
    warning: colors.yellow('warning'),
    wrong: colors.red('wrong  '),
    skipped: colors.dim('skipped'),
  }[state];
  return `${mark}  ${name.padEnd(12)}  ${detail}\n${hint ? `${' '.repeat(23)}${colors.dim(hint)}\n` : ''}`;
};
