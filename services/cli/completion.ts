// Shell completion: the shell asks the command itself, so that names of resources complete, too.
import type { Command } from 'commander';
import { kinds } from '#engine/model/resource.ts';
import type { Client } from './client.ts';
import { parseKind } from './names.ts';

const scripts = {
  bash: `# bash completion for weir; use: source <(weir completion bash)
_weir() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(weir __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ \${#COMPREPLY[@]} -eq 0 ] && compopt -o default
}
complete -F _weir weir
`,
  zsh: `#compdef weir
# zsh completion for weir; use: source <(weir completion zsh)
_weir() {
  local -a found
  found=("\${(@f)$(weir __complete -- "\${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _weir weir
`,
  fish: `# fish completion for weir; use: weir completion fish | source
function __weir_complete
  set -l words (commandline -opc) (commandline -ct)
  weir __complete -- $words[2..-1] 2>/dev/null
end
complete -c weir -a '(__weir_complete)'
`,
} as const;

export type Shell = keyof typeof scripts;
export const shells = Object.keys(scripts) as readonly Shell[];
export const completionScript = (shell: Shell): string => scripts[shell];

/** What may stand in the place of the last word. The client is asked only for names, and may fail. */
export const complete = async (
  program: Command,
  words: readonly string[],
  client: () => Client,
): Promise<string[]> => {
  const last = words.at(-1) ?? '';
  const { command, args } = walk(program, words.slice(0, -1));
  if (last.startsWith('-')) return startingWith(last, optionsOf(command, program));
  const verbs = command.commands.map((sub) => sub.name()).filter((name) => !name.startsWith('_'));
  if (verbs.length > 0) return startingWith(last, verbs);
  return startingWith(last, await argumentsOf(command, args, client).catch(() => []));
};

const walk = (program: Command, words: readonly string[]) => {
  let command = program;
  const args: string[] = [];
  let isValue = false;
  for (const word of words) {
    if (isValue) {
      isValue = false;
      continue;
    }
    if (word.startsWith('-')) {
      const options = [...command.options, ...program.options];
      const option = options.find(({ short, long }) => short === word || long === word);
      isValue = option?.required === true && !word.includes('=');
      continue;
    }
    const sub = command.commands.find((candidate) => candidate.name() === word);
    if (sub) command = sub;
    else args.push(word);
  }
  return { command, args };
};

const optionsOf = (command: Command, program: Command): string[] =>
  [...new Set([...command.options, ...program.options].flatMap(({ long }) => long ?? []))].concat(
    '--help',
  );

const startingWith = (start: string, words: readonly string[]): string[] =>
  words.filter((word) => word.startsWith(start)).toSorted();

const argumentsOf = async (
  command: Command,
  args: readonly string[],
  client: () => Client,
): Promise<string[]> => {
  const name = command.name();
  if (name === 'completion') return [...shells];
  if (command.parent?.name() === 'rollout') {
    const { rollouts } = await client().call('rollout.status', {}, { timeoutMs: 1000 });
    return rollouts.map(({ id }) => id);
  }
  if (name !== 'get' && name !== 'delete') return [];
  const [kind] = args;
  if (kind === undefined) return kinds.map((word) => word.toLowerCase());
  const request = { kind: parseKind(kind) };
  const { resources } = await client().call('policy.get', request, { timeoutMs: 1000 });
  return resources.map(({ id }) => id.split('/').slice(1).join('/'));
};
