// What `npm start` was asked to do.
import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly until: 'promoted' | 'rolledBack' | undefined;
  /** v1.1 fails 5 % of its requests. */
  readonly bad: boolean;
  readonly traffic: boolean;
  readonly port: number;
  readonly help: boolean;
}

export const help = `Runs Weir and the Bibby library on this machine, ships catalog v1.1 and shows its rollout live.

Usage: npm start -- [options]

Options:
  --until promoted|rolledBack  end with exit code 0 once the rollout is there;
                               1 with the reason if it ends otherwise or after 5 minutes
  --bad                        ship a v1.1 that fails 5 % of its requests
  --no-traffic                 send no readers' traffic
  --port <port>                where the edge listens (8080)
  --help                       this text

Environment:
  WEIR_HOME      where the installation keeps its files (.weir)
  WEIR_NATS_URL  a running nats-server with JetStream, instead of one of its own

Examples:
  npm start                                     watch a good version being promoted
  npm start -- --bad                            watch a bad one being rolled back
  npm start -- --until promoted --port 8081     for scripts
`;

/** Throws an Error whose message is one sentence for the person who typed it. */
export const parseOptions = (args: readonly string[]): DemoOptions => {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    allowNegative: true,
    options: {
      until: { type: 'string' },
      bad: { type: 'boolean', default: false },
      traffic: { type: 'boolean', default: true },
      port: { type: 'string', default: '8080' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { until, bad, traffic, help: wantsHelp } = values;
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error(`--port takes a number from 1 to 65535, not "${values.port}".`);
  if (until !== undefined && until !== 'promoted' && until !== 'rolledBack')
    throw new Error(`--until takes promoted or rolledBack, not "${until}".`);
  if (until !== undefined && !traffic)
    throw new Error('Without traffic there is no evidence: leave out --until or --no-traffic.');
  return { until, bad, traffic, port, help: wantsHelp };
};
