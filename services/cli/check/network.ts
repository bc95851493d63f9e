// What can be seen on the network without credentials: the bus' greeting, and who holds a port.
import { connect, createServer } from 'node:net';
import { type Finding, ok, warning, wrong } from './finding.ts';
import { CURRENT_NATS, compareReleases, LEAST_NATS } from './releases.ts';

const TIMEOUT_MS = 2000;

/** A NATS server says who it is before anybody logs in. */
export const checkBus = async (address: string): Promise<Finding> => {
  const url = URL.parse(address.includes('://') ? address : `nats://${address}`);
  if (!url) return wrong('bus', `"${address}" is not an address`, 'Check WEIR_NATS_URL.');
  const greeting = await firstLine(url.hostname, Number(url.port || 4222));
  const info = /^INFO (\{.*\})/.exec(greeting)?.[1];
  if (!info)
    return wrong(
      'bus',
      `no NATS server answers at ${url.host}${greeting ? ' (something else does)' : ''}`,
      'Start it with `npm start`, or set WEIR_NATS_URL to a running one.',
    );
  const { version = '', jetstream } = JSON.parse(info) as { version?: string; jetstream?: boolean };
  if (jetstream !== true)
    return wrong('bus', `nats-server ${version} without JetStream`, 'Start it with `-js`.');
  if (compareReleases(version, LEAST_NATS) < 0)
    return wrong('bus', `nats-server ${version} is too old`, `Weir needs ${LEAST_NATS} or newer.`);
  if (compareReleases(version, CURRENT_NATS) < 0)
    return warning(
      'bus',
      `nats-server ${version} at ${url.host}: good for one node, not for a replicated cluster`,
      `Use ${CURRENT_NATS} or newer in production.`,
    );
  return ok('bus', `nats-server ${version} at ${url.host}`);
};

const firstLine = (host: string, port: number): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port, timeout: TIMEOUT_MS });
    const finish = () => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\n') || text.length > 65_536) finish();
    });
    socket.once('error', finish).once('timeout', finish).once('end', finish);
  });

/** For an installation that does not run: could it? */
export const checkPort = (port: number, host = '127.0.0.1'): Promise<Finding> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is taken by another program' : String(error.code);
      const other = port === 8080 ? '`npm start -- --port 8081`' : 'WEIR_ADMIN_ADDRESS';
      const hint = `Stop it, or choose another port (${other}).`;
      resolve(warning(`port ${port}`, why, hint));
    });
    server.listen(port, host, () => server.close(() => resolve(ok(`port ${port}`, 'is free'))));
  });
