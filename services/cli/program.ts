// The `weir` command: its verbs, and how each ending becomes an exit code.
import { Command, CommanderError, Option } from 'commander';
import { reasonOf } from '#engine/model/errors.ts';
import release from '../../package.json' with { type: 'json' };
import { applyCommand, diffCommand } from './commands/apply.ts';
import { authzCommand } from './commands/authz.ts';
import { breakersCommand } from './commands/breakers.ts';
import { checkCommand } from './commands/check.ts';
import { completeCommand, completionCommand } from './commands/completion.ts';
import { consumerCommand } from './commands/consumer.ts';
import { devCommand } from './commands/dev.ts';
import { eventsCommand } from './commands/events.ts';
import { explainCommand } from './commands/explain.ts';
import { deleteCommand, getCommand, historyCommand, rollbackCommand } from './commands/policy.ts';
import { policyCanaryCommand } from './commands/policy-canary.ts';
import { revokeCommand } from './commands/revoke.ts';
import { rolloutCommand } from './commands/rollout.ts';
import { statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { CliError, type ExitCode, exitCodes, exitCodesHelp } from './exit.ts';
import { formats } from './output.ts';
import { createSession, examples, type Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

/** Runs one command line (without `node` and the script) and never throws. */
export const runWeir = async (args: readonly string[], world: Surroundings): Promise<ExitCode> => {
  const program = new Command('weir');
  const session = createSession(world, program);
  build(program, session);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return report(error, session);
  }
};

const build = (program: Command, session: Session): void => {
  const { world } = session;
  program
    .description('Policies, fleet and rollouts of a Weir installation')
    .version(release.version, '-V, --version')
    .addOption(new Option('-o, --output <format>', 'how to print').choices([...formats]))
    .option('-n, --namespace <namespace>', 'of the resources and rollouts named')
    .option('--url <url>', 'the admin API (WEIR_URL; found from .weir/control.json)')
    .option('--token <token>', 'bearer token (WEIR_TOKEN; found in .weir/tokens.json)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => world.out(text),
      writeErr: (text) => world.error(text),
      getOutHelpWidth: () => world.columns,
      getOutHasColors: () => world.isTerminal,
      getErrHasColors: () => world.isTerminal,
    })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      examples(
        ['weir status', 'who enforces what'],
        ['weir apply -f policies/ --wait', 'change the policy and see it in force'],
        ['weir rollout status --watch', 'follow a canary'],
      ),
    )
    .addHelpText('after', `\n${exitCodesHelp}`);
  const commands = [
    applyCommand(session),
    diffCommand(session),
    getCommand(session),
    deleteCommand(session),
    historyCommand(session),
    rollbackCommand(session),
    statusCommand(session),
    rolloutCommand(session),
    policyCanaryCommand(session),
    breakersCommand(session),
    revokeCommand(session),
    explainCommand(session),
    authzCommand(session),
    eventsCommand(session),
    tokenCommand(session),
    consumerCommand(session),
    checkCommand(session),
    devCommand(session),
    completionCommand(session),
  ];
  for (const command of commands) program.addCommand(command);
  program.addCommand(completeCommand(session, program), { hidden: true });
  inherit(program);
};

/** Commands made apart do not take over their parent's settings by themselves. */
const inherit = (command: Command): void => {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    inherit(sub);
  }
};

const report = (error: unknown, session: Session): ExitCode => {
  const { world, colors } = session;
  if (error instanceof CommanderError)
    // Commander has printed its own message; help and --version end with 0.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof CliError) {
    const code = error.code ? `${error.code} ` : '';
    world.error(`${colors.red(`weir: ${code}`)}${error.message}\n`);
    if (error.hint) world.error(`    ${colors.dim(error.hint)}\n`);
    return error.exitCode;
  }
  if (world.stop.aborted) return exitCodes.ok;
  world.error(`weir: ${reasonOf(error)}\n`);
  return exitCodes.failed;
};
