// `weir completion bash|zsh|fish`, and the hidden verb that the shells call back.
import { Argument, Command } from 'commander';
import { complete, completionScript, type Shell, shells } from '../completion.ts';
import { examples, type Session } from '../session.ts';

export const completionCommand = (session: Session): Command =>
  new Command('completion')
    .description('Print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText(
      'after',
      examples(
        ['source <(weir completion bash)', 'for this bash'],
        ['weir completion fish > ~/.config/fish/completions/weir.fish', 'for every fish'],
      ),
    )
    .action((shell: Shell) => session.world.out(completionScript(shell)));

export const completeCommand = (session: Session, program: Command): Command =>
  new Command('__complete').argument('[words...]').action(async (words: string[]) => {
    const found = await complete(program, words, () => session.client());
    session.world.out(found.map((word) => `${word}\n`).join(''));
  });
