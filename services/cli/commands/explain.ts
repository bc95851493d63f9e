// `weir explain`: what the policy in force would do with a request, by the code that serves traffic.
import { isIP } from 'node:net';
import { Command } from 'commander';
import { CliError, exitCodes } from '../exit.ts';
import { showExplanation } from '../explain-view.ts';
import { examples, type Session } from '../session.ts';

interface ExplainOptions {
  readonly header?: [string, string][];
  readonly client?: string;
  readonly peer?: string;
  readonly scope?: string;
}

export const explainCommand = (session: Session): Command =>
  new Command('explain')
    .description('Say which route a request takes and why, who allows or denies it, which version')
    .argument('<method>', 'GET, POST, ...')
    .argument('<url>', 'http://api.bibby.com/catalog/books')
    .option('-H, --header <header>', '"Name: value"; repeatable', collectHeader)
    .option('--client <address>', 'where the caller is', '127.0.0.1')
    .option('--peer <identity>', 'in his certificate: cluster.local/ns/bibby/sa/library-service')
    .option('--scope <scope>', 'edge.public, sidecar.bibby.catalog; default: the only gateway')
    .addHelpText(
      'after',
      examples(
        ['weir explain GET http://api.bibby.com/catalog/books', 'without a token'],
        [
          'weir explain GET http://api.bibby.com/catalog/books -H "x-canary: true" -H "Authorization: Bearer $(weir token)"',
          'as alice, asking for the canary',
        ],
      ),
    )
    .action(async (method: string, url: string, options: ExplainOptions) => {
      mustBeRequest(method, url, options);
      const answer = await session.client().call('policy.explain', {
        method: method.toUpperCase(),
        url,
        ...(options.header ? { headers: options.header } : {}),
        ...(options.client === undefined ? {} : { clientAddress: options.client }),
        ...(options.peer === undefined ? {} : { peer: options.peer }),
        ...(options.scope === undefined ? {} : { scope: options.scope }),
      });
      session.print(answer, () => showExplanation(answer, session.colors));
    });

/** A path alone will do: it is asked of localhost. */
const mustBeRequest = (method: string, url: string, { client }: ExplainOptions): void => {
  const wrong = (text: string, what: string) =>
    new CliError(exitCodes.usage, `"${text}" is not ${what}.`);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) throw wrong(method, 'a method such as GET');
  const scheme = url.startsWith('/') ? 'http:' : URL.parse(url)?.protocol;
  if (scheme !== 'http:' && scheme !== 'https:')
    throw wrong(url, 'an http address such as http://api.bibby.com/catalog/books');
  if (client !== undefined && isIP(client) === 0) throw wrong(client, 'an IP address');
};

const collectHeader = (text: string, earlier: [string, string][] = []): [string, string][] => {
  const colon = text.indexOf(':');
  if (colon < 1) throw new CliError(exitCodes.usage, `"${text}" is not a header "Name: value".`);
  return [...earlier, [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]];
};
