// `weir revoke`: shut a token, a caller or a key out, everywhere, now.
import { Command } from 'commander';
import type { RevocationAnswer } from '#engine/model/api.ts';
import { parseDuration } from '#engine/model/duration.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

/** What a person calls it: its prefix on the bus, how its value is named in help, and what it is. */
const things = {
  token: ['jti', '<jti>', 'One token, by its jti'],
  subject: ['sub', '<sub>', 'All tokens of a subject'],
  key: ['key', '<id>', 'An API key, by its id'],
  consumer: ['consumer', '<name>', 'A consumer, whatever it shows'],
  'issuer-key': ['kid', '<kid>', 'All tokens signed with a key of an issuer'],
  before: ['before', '<time>', 'All tokens issued before a moment'],
} as const;
type Thing = keyof typeof things;

export const revokeCommand = (session: Session): Command => {
  const revoke = new Command('revoke')
    .description('Shut a token, a caller or a key out, everywhere, now')
    .addHelpText(
      'after',
      examples(
        ['weir revoke subject ada --reason "laptop stolen"', 'every token of hers, for 24 hours'],
        ['weir revoke before 2026-11-23T12:00:00Z', 'everybody has to sign in again'],
        ['weir revoke list', 'who is shut out'],
        ['weir revoke undo subject ada', 'and let in again'],
      ),
    );
  for (const thing of Object.keys(things) as Thing[]) revoke.addCommand(revokeOne(session, thing));
  revoke.addCommand(list(session));
  revoke.addCommand(undo(session));
  return revoke;
};

const revokeOne = (session: Session, thing: Thing): Command =>
  new Command(thing)
    .description(things[thing][2])
    .argument(things[thing][1])
    .option('--for <duration>', 'at least what is left of its life', '24h')
    .option('--reason <text>', 'why, for the record')
    .addHelpText('after', examples([`weir revoke ${thing} ${sample(thing)}`, things[thing][2]]))
    .action(async (value: string, options: { for: string; reason?: string }) => {
      const target = targetOf(thing, value);
      const ttlMs = parseLife(options.for);
      const { reason } = options;
      const answer = await session
        .client()
        .call('access.revoke', { target, ttlMs, ...(reason === undefined ? {} : { reason }) });
      session.print(answer, () => show(answer));
    });

const list = (session: Session): Command =>
  new Command('list')
    .description('Show who is shut out, and until when')
    .addHelpText('after', examples(['weir revoke list -o json', 'for scripts']))
    .action(async () => {
      const answer = await session.client().call('access.revocations');
      session.print(answer, () =>
        answer.revocations.length === 0 ? 'Nobody is shut out.\n' : show(answer),
      );
    });

const undo = (session: Session): Command =>
  new Command('undo')
    .description('Let somebody in again')
    .argument('<what>', Object.keys(things).join(', '))
    .argument('<value>')
    .option('--reason <text>', 'why, for the record')
    .addHelpText('after', examples(['weir revoke undo subject ada', 'her tokens are good again']))
    .action(async (what: string, value: string, { reason }: { reason?: string }) => {
      if (!Object.hasOwn(things, what))
        throw new CliError(exitCodes.usage, `There is no "${what}" to undo.`, {
          hint: `One of ${Object.keys(things).join(', ')}.`,
        });
      const target = targetOf(what as Thing, value);
      const answer = await session
        .client()
        .call('access.restore', { target, ...(reason === undefined ? {} : { reason }) });
      session.print(answer, () => `${target} is let in again\n`);
    });

const sample = (thing: Thing): string => (thing === 'before' ? '2026-11-23T12:00:00Z' : 'x');

const targetOf = (thing: Thing, value: string): string => {
  const [prefix] = things[thing];
  if (thing !== 'before') return `${prefix}:${value}`;
  const moment = /^[0-9]+$/.test(value) ? Number(value) : Date.parse(value);
  if (Number.isNaN(moment))
    throw new CliError(exitCodes.usage, `"${value}" is no moment.`, {
      hint: 'Write it as 2026-11-23T12:00:00Z, or in milliseconds since 1970.',
    });
  return `${prefix}:${moment}`;
};

const parseLife = (text: string): number => {
  if (!/^([0-9]+(ms|s|m|h|d))+$/.test(text))
    throw new CliError(exitCodes.usage, `"${text}" is no duration.`, {
      hint: 'Write it as 30m, 24h or 7d.',
    });
  return parseDuration(text);
};

const show = ({ revocations }: RevocationAnswer): string =>
  revocations
    .map(({ target, expiresMs, by, reason }) => {
      const until = new Date(expiresMs).toISOString().slice(0, 19);
      return `${target}  shut out until ${until}Z by ${by}${reason ? `: ${reason}` : ''}\n`;
    })
    .join('');
