// `weir token`: a development JWT, signed by the issuer key that set-up made for this machine only.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { importJWK, type JWK, SignJWT } from 'jose';
import { CliError, exitCodes } from '../exit.ts';
import { parseMs } from '../names.ts';
import { examples, type Session } from '../session.ts';

interface TokenOptions {
  readonly sub: string;
  readonly role?: string[];
  readonly expires: string;
  readonly issuer: string;
  readonly audience: string;
}

export const tokenCommand = (session: Session): Command =>
  new Command('token')
    .description('Print a JSON Web Token for development')
    .option('--sub <subject>', 'who the caller is', 'alice')
    .option(
      '--role <role>',
      'a role of the caller; repeatable',
      (value, earlier: string[] | undefined) => [...(earlier ?? []), value],
    )
    .option('--expires <duration>', 'how long it is good for; -1h makes one that has expired', '1h')
    .option('--issuer <issuer>', 'claim iss', 'https://id.bibby.com')
    .option('--audience <audience>', 'claim aud', 'bibby')
    .addHelpText(
      'after',
      examples([
        'curl -H "Authorization: Bearer $(weir token --sub alice --role reader)" localhost:8080/catalog/books',
        'call the demo as alice',
      ]),
    )
    .action(async (options: TokenOptions) => {
      const key = readKey(session.home);
      const isPast = options.expires.startsWith('-');
      const lifeMs = parseMs(options.expires.replace(/^-/, ''));
      const nowSeconds = Math.floor(session.world.now() / 1000);
      const exp = nowSeconds + Math.round(((isPast ? -1 : 1) * lifeMs) / 1000);
      const token = await new SignJWT({ roles: options.role ?? ['reader'] })
        .setProtectedHeader({ alg: key.alg ?? 'EdDSA', ...(key.kid ? { kid: key.kid } : {}) })
        .setSubject(options.sub)
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setIssuedAt(Math.min(nowSeconds, exp))
        .setExpirationTime(exp)
        .sign(await importJWK(key, key.alg ?? 'EdDSA'));
      session.world.out(`${token}\n`);
    });

const readKey = (home: string): JWK => {
  const path = join(home, 'keys', 'dev-issuer.jwk.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as JWK;
  } catch {
    throw new CliError(exitCodes.failed, `There is no development key at ${path}.`, {
      hint: 'Set-up makes it: run `npm start` once.',
    });
  }
};
