// The command that makes an installation: `install`, `add-agent`, and `nats` to run its server in the foreground.
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { EngineError } from '#engine/model/errors.ts';
import { type AgentUser, addAgent, install } from './install.ts';
import { startNatsServer } from './nats-server.ts';

const USAGE = `usage: setup install [--home DIR] [--mesh NAME] [--port N] [--agent NAME=SCOPE[@NAMESPACE/WORKLOAD] ...]
       setup add-agent [--home DIR] --agent NAME=SCOPE[@NAMESPACE/WORKLOAD]
       setup nats [--home DIR] [--port N]

Makes credentials, keys, tokens and nats-server's configuration; what is there is kept.
A SCOPE is edge.<gateway> or sidecar.<namespace>.<workload>. DIR is $WEIR_HOME or .weir.`;

const wrongUsage = (what: string) =>
  new EngineError('ERR_CONFIG_INVALID', `${what}\n\n${USAGE}`, { source: 'caller' });

const parseAgent = (text: string): AgentUser => {
  const [, name, scope, workload] = /^([^=]+)=([^@]+)(?:@(.+))?$/.exec(text) ?? [];
  if (!name || !scope) throw wrongUsage(`--agent ${text}: expected NAME=SCOPE`);
  return { name, scope, ...(workload ? { workload } : {}) };
};

const parsePort = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw wrongUsage(`--port ${text}: expected a number from 1 to 65535`);
  return port;
};

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        home: { type: 'string' },
        mesh: { type: 'string' },
        port: { type: 'string' },
        agent: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw wrongUsage((error as Error).message);
  }
};

const runNats = async (home: string, port: number | undefined): Promise<void> => {
  const server = await startNatsServer({
    home,
    log: console.log,
    ...(port === undefined ? {} : { port }),
  });
  console.log(`nats-server listens on ${server.url}`);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await server.stop();
};

const run = async (args: readonly string[]): Promise<void> => {
  const { values, positionals } = parse(args);
  if (values.help) return console.log(USAGE);
  const home = values.home ?? process.env['WEIR_HOME'] ?? '.weir';
  const agents = (values.agent ?? []).map(parseAgent);
  const port = parsePort(values.port);
  switch (positionals.join(' ')) {
    case 'install': {
      const made = await install({
        home,
        agents,
        ...(values.mesh === undefined ? {} : { mesh: values.mesh }),
        ...(port === undefined ? {} : { natsPort: port }),
      });
      return console.log(`installed mesh ${made.mesh} in ${made.home}`);
    }
    case 'add-agent':
      if (agents.length === 0) throw wrongUsage('add-agent: which one?');
      for (const agent of agents) {
        const { credentials } = await addAgent({ home, ...agent });
        console.log(`agent ${agent.name} of ${agent.scope}: ${credentials}`);
      }
      return undefined;
    case 'nats':
      return runNats(home, port);
    default:
      throw wrongUsage(`unknown command "${positionals.join(' ')}"`);
  }
};

try {
  await run(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? `setup: ${error.message}` : error);
  process.exitCode = error instanceof EngineError && error.code === 'ERR_CONFIG_INVALID' ? 2 : 1;
}
