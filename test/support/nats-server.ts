// A real nats-server for one test file: own folder, free port; can be killed, paused and started again at the same port.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findBinary } from '#services/setup/find-binary.ts';

export interface TestNatsServer {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  readonly pid: number;
  /** SIGKILL: as if the machine took it. */
  kill(): Promise<void>;
  /** Orderly end; data stay. */
  stop(): Promise<void>;
  /** After `kill` or `stop`: the same port and data. */
  start(): Promise<void>;
  /** SIGSTOP: it keeps its sockets and says nothing. */
  pause(): void;
  resume(): void;
  /** Other configuration, taken up by the running process. */
  reconfigure(config: string): Promise<void>;
  version(): Promise<string>;
  /** Ends it and removes its data. Safe to call twice. */
  close(): Promise<void>;
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

/** The server greets whoever connects. A port that somebody else holds, or the connection itself, stays silent. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    const end = (greeted: boolean) => {
      socket.destroy();
      resolve(greeted);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });

/** It need not be on the PATH: Debian keeps it where only root looks. */
export const natsServerBinary = (await findBinary('nats-server')) ?? 'nats-server';

/** `config` is added to the server's configuration: authorization, accounts, max_payload, ... */
export const startTestNatsServer = async (config = ''): Promise<TestNatsServer> => {
  const directory = await mkdtemp(join(tmpdir(), 'weir-nats-'));
  const port = await freePort();
  const file = join(directory, 'server.conf');
  const configure = (text: string) =>
    writeFile(
      file,
      `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${directory}/data" }\n${text}\n`,
    );
  await configure(config);
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending?.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    ending.kill('SIGCONT');
    ending.kill(signal);
    await ended;
  };
  const server = {
    url: `nats://127.0.0.1:${port}`,
    port,
    directory,
    get pid() {
      return child?.pid ?? 0;
    },
    start: async () => {
      const log = await open(join(directory, 'server.log'), 'a');
      const started = spawn(natsServerBinary, ['-c', file], { stdio: ['ignore', log.fd, log.fd] });
      await log.close();
      child = started;
      const failed = once(started, 'exit').then(() => true);
      while (!(await answers(port)))
        if (await Promise.race([failed, new Promise((later) => setTimeout(later, 20, false))]))
          throw new Error(await readFile(join(directory, 'server.log'), 'utf8'));
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    reconfigure: async (text: string) => {
      await configure(text);
      child?.kill('SIGHUP');
    },
    version: async () => (await promisify(execFile)(natsServerBinary, ['--version'])).stdout.trim(),
    close: async () => {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
};
