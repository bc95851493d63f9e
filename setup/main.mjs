// What `npm start` and `npm test` run first. Plain JavaScript for whatever Node the machine has, before any package is
// there: makes sure of packages, the pinned Node and nats-server, then hands over.
import { ensureNatsServer } from './nats.mjs';
import { ensurePackages } from './packages.mjs';
import { runInForeground, SetupError } from './process.mjs';
import { findPinnedNode } from './runtime.mjs';
import { runTests } from './tests.mjs';

const USAGE = `usage: npm start [-- OPTIONS]    the demo: nats-server, control, edge, services and traffic
       npm test [-- OPTIONS]     checks, then all tests

npm start -- --help   says what the demo takes.
npm test              takes --only-tests (no checks) and names of test files to run only those.
WEIR_TEST=unit,integration,e2e   which kinds of tests to run; default: all three.
WEIR_NATS_URL=nats://host:port   a nats-server with JetStream that already runs, instead of one of Weir's own.`;

const OLDEST_NODE = 20;

const start = async (args) => {
  await ensurePackages();
  const node = await findPinnedNode();
  const isHelp = args.includes('--help') || args.includes('-h');
  if (!process.env.WEIR_NATS_URL && !isHelp) await ensureNatsServer();
  return runInForeground(node, ['services/demo/main.ts', ...args]);
};

const test = async (args) => {
  if (args.includes('--help') || args.includes('-h')) return help(0);
  const unknown = args.find((arg) => arg.startsWith('-') && arg !== '--only-tests');
  if (unknown) {
    console.error(`npm test does not know ${unknown}\n`);
    return help(2);
  }
  await ensurePackages();
  const node = await findPinnedNode();
  await ensureNatsServer();
  return runTests({
    node,
    withChecks: !args.includes('--only-tests'),
    filters: args.filter((arg) => !arg.startsWith('-')),
  });
};

const help = (code) => {
  if (code === 0) console.log(USAGE);
  else console.error(USAGE);
  return code;
};

const commands = { start, test };

const main = async ([command = '', ...args]) => {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE)
    throw new SetupError(
      `Weir's set-up needs Node ${OLDEST_NODE} or newer; this is ${process.version}.`,
    );
  if (command === '--help' || command === '-h') return help(0);
  if (!Object.hasOwn(commands, command)) return help(2);
  return commands[command](args);
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 1;
}
