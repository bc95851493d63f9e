// What every verb works with: the client, the way to print, and the options that all verbs share.
import type { Command } from 'commander';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import { type Client, createClient } from './client.ts';
import { CliError, exitCodes } from './exit.ts';
import { findHome, findTarget } from './installation.ts';
import { type Format, formatDiagnostics, formats, serialize } from './output.ts';
import { type Colors, colorsFor, type Surroundings } from './surroundings.ts';

export interface GlobalOptions {
  readonly output?: string;
  readonly namespace?: string;
  readonly url?: string;
  readonly token?: string;
}

export interface Session {
  readonly world: Surroundings;
  readonly colors: Colors;
  readonly options: GlobalOptions;
  readonly home: string;
  client(): Client;
  /** As `-o` asks; `fallback` is the format when it does not. */
  format(fallback?: Format): Format;
  /** The value for scripts, the text for people. */
  print(value: unknown, text: () => string): void;
  diagnostics(diagnostics: readonly Diagnostic[]): void;
}

export const createSession = (world: Surroundings, program: Command): Session => {
  const options = () => program.opts<GlobalOptions>();
  const colors = colorsFor(world);
  const format = (fallback: Format = 'table'): Format => {
    const asked = options().output ?? fallback;
    const known = formats.find((name) => name === asked);
    if (!known)
      throw new CliError(exitCodes.usage, `-o is one of ${formats.join(', ')}, not "${asked}".`);
    return known;
  };
  return {
    world,
    colors,
    get options() {
      return options();
    },
    get home() {
      return findHome(world);
    },
    client: () => createClient(findTarget(world, options())),
    format,
    print(value, text) {
      const chosen = format();
      world.out(chosen === 'table' ? text() : serialize(value, chosen));
    },
    diagnostics: (diagnostics) => world.error(formatDiagnostics(diagnostics, colors)),
  };
};

/** Help text with commands to copy. */
export const examples = (...lines: readonly (readonly [command: string, what: string])[]): string =>
  `\nExamples:\n${lines.map(([command, what]) => `  $ ${command}\n      ${what}`).join('\n')}\n`;
