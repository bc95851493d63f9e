// `weir events`: what happens, as it happens.
import { Command } from 'commander';
import { type Event, eventTypes } from '#engine/model/event.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

const nouns = [...new Set(eventTypes.map((type) => type.split('.')[0] ?? ''))];

export const eventsCommand = (session: Session): Command =>
  new Command('events')
    .description('Follow events live, until Ctrl-C')
    .option('--type <prefix>', `only these: ${nouns.join(', ')}, or one such as rollout.stepped`)
    .addHelpText(
      'after',
      examples(
        ['weir events', 'everything'],
        ['weir events --type rollout', 'only rollouts'],
        ['weir events -o json', 'one CloudEvent per line'],
      ),
    )
    .action(async (options: { type?: string }) => {
      const format = session.format();
      const { stop } = session.world;
      const prefix = `weir.${parseType(options.type ?? '')}`;
      for await (const event of session.client().events(stop)) {
        const { type } = event as Event;
        if (!type.startsWith(prefix)) continue;
        session.world.out(
          format === 'table' ? showEvent(event as Event, session) : `${JSON.stringify(event)}\n`,
        );
      }
      if (!stop.aborted) throw new CliError(exitCodes.unreachable, 'Control closed the stream.');
    });

const parseType = (prefix: string): string => {
  if (eventTypes.some((type) => type.startsWith(prefix))) return prefix;
  throw new CliError(exitCodes.usage, `There are no events of type "${prefix}".`, {
    hint: `Types begin with ${nouns.join(', ')}.`,
  });
};

const showEvent = ({ time, type, subject, data }: Event, { colors }: Session): string => {
  const clock = time.slice(11, 19);
  const paint = /rejected|rolledBack|failed|quarantined|left|opened/.test(type)
    ? colors.red
    : colors.cyan;
  const facts = Object.entries(data)
    .filter(([key, value]) => key !== 'diagnostics' && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${clock} ${paint(type.replace('weir.', ''))} ${colors.bold(subject)} ${facts.join(' ')}\n`;
};
