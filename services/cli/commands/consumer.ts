// `weir consumer`: a key or a password for a caller, and what policy keeps of it.
import { createHash, randomBytes, scryptSync } from 'node:crypto';
import { Command } from 'commander';
import { passwordHashText } from '#engine/model/password-hash.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

export const consumerCommand = (session: Session): Command =>
  new Command('consumer')
    .description('Credentials of consumers')
    .addCommand(keyCommand(session))
    .addCommand(passwordCommand(session))
    .addHelpText(
      'after',
      examples(
        ['weir consumer key shop', 'a new API key for the consumer shop'],
        ['weir consumer password shop', 'a new password for it'],
      ),
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

const COST = { N: 16_384, r: 8, p: 1 };

const hashOf = (password: string): string => {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, COST);
  return passwordHashText({
    cost: COST,
    salt: salt.toString('base64url'),
    key: key.toString('base64url'),
  });
};

const passwordCommand = (session: Session): Command =>
  new Command('password')
    .description('Make a password: the password for the caller, its hash for the Consumer')
    .argument('<consumer>', 'name of the Consumer')
    .option('--username <name>', "name to sign in with; the Consumer's own by default")
    .option('--stdin', 'take the password from standard input instead of making one')
    .addHelpText(
      'after',
      examples(['weir consumer password shop --stdin < password.txt', 'a password of your own']),
    )
    .action(async (consumer: string, options: { username?: string; stdin?: boolean }) => {
      const { username = consumer } = options;
      if (username.includes(':'))
        throw new CliError(exitCodes.usage, 'A user name has no colon in it.');
      const password = options.stdin
        ? (await session.world.stdin()).replace(/\r?\n$/, '')
        : randomBytes(24).toString('base64url');
      if (password === '') throw new CliError(exitCodes.usage, 'The password is empty.');
      const stored = { username, hash: hashOf(password) };
      const shown = options.stdin ? {} : { password };
      session.print({ consumer, ...shown, stored }, () =>
        [
          options.stdin
            ? ''
            : `Give the caller this password; it is shown only once:\n\n  ${password}\n\n`,
          `Add its hash to the Consumer ${consumer}:\n\n`,
          `  basic: ${JSON.stringify(stored)}\n`,
        ].join(''),
      );
    });
