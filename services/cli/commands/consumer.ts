// `weir consumer key`: an API key for a caller, and what policy keeps of it.
import { createHash, randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

export const consumerCommand = (session: Session): Command =>
  new Command('consumer')
    .description('Credentials of consumers')
    .addCommand(keyCommand(session))
    .addHelpText(
      'after',
      examples(['weir consumer key shop', 'a new API key for the consumer shop']),
    );

const keyCommand = (session: Session): Command =>
  new Command('key')
    .description('Make an API key: the key for the caller, its salted hash for the Consumer')
    .argument('<consumer>', 'name of the Consumer')
    .option('--id <id>', 'of the key, as revocations and logs name it; random by default')
    .option('--expires <time>', 'such as 2027-01-01T00:00:00Z; never by default')
    .addHelpText(
      'after',
      examples(['weir consumer key shop --id shop-2027', 'a key with a name to revoke it by']),
    )
    .action((consumer: string, options: { id?: string; expires?: string }) => {
      const { id = randomBytes(6).toString('hex'), expires } = options;
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(id))
        throw new CliError(exitCodes.usage, `"${id}" is no id.`, {
          hint: 'Letters, digits, - and _.',
        });
      if (expires !== undefined && Number.isNaN(Date.parse(expires)))
        throw new CliError(exitCodes.usage, `"${expires}" is no moment.`, {
          hint: 'Write it as 2027-01-01T00:00:00Z.',
        });
      const key = `${id}.${randomBytes(32).toString('base64url')}`;
      const salt = randomBytes(16).toString('hex');
      const hash = createHash('sha256')
        .update(salt + key)
        .digest('hex');
      const stored = { id, salt, hash, ...(expires === undefined ? {} : { expires }) };
      session.print({ consumer, key, stored }, () =>
        [
          `Give the caller this key; it is shown only once:\n\n  ${key}\n`,
          `Add its hash to the Consumer ${consumer}, under spec.apiKeys:\n`,
          `  - ${JSON.stringify(stored)}\n`,
        ].join('\n'),
      );
    });
