import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectNats, type NatsBroker } from '#adapters/bus-nats/broker.ts';
import { addAgent, install } from '#services/setup/install.ts';
import { type NatsServer, startNatsServer } from '#services/setup/nats-server.ts';
import { collect, until } from '#test/conformance/broker-world.ts';
import { natsServerBinary } from '#test/support/nats-server.ts';

let home: string;
const opened: { close(): Promise<void> }[] = [];
const started: NatsServer[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weir-server-'));
  await install({ home, agents: [{ name: 'edge-1', scope: 'edge.public' }] });
});
afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
  for (const server of started.splice(0)) await server.stop();
  await rm(home, { recursive: true, force: true });
});

const start = async (options: { port?: number; log?: (line: string) => void } = {}) => {
  const server = await startNatsServer({ home, ...options });
  started.push(server);
  return server;
};

const connectAs = async (user: string, url: string): Promise<NatsBroker> => {
  const credentials = await readFile(join(home, 'credentials', `${user}.nk`), 'utf8');
  const broker = await connectNats({ url, name: user, credentials });
  opened.push(broker);
  return broker;
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('startNatsServer', () => {
  it('says where it listens and forgets it when it stops', async () => {
    const server = await start();
    expect((await readFile(join(home, 'nats', 'url'), 'utf8')).trim()).toBe(server.url);
    expect((await connectAs('control', server.url)).connected).toBe(true);
    await server.stop();
    await server.stop();
    expect(existsSync(join(home, 'nats', 'url'))).toBe(false);
    expect(isAlive(server.pid)).toBe(false);
  });

  it('takes the port of last time again, or another when that is taken', async () => {
    const first = await start();
    await first.stop();
    const second = await start();
    expect(second.port).toBe(first.port);
    await second.stop();
    const squatter = createServer().listen(first.port, '127.0.0.1');
    await once(squatter, 'listening');
    const third = await start();
    expect(third.port).not.toBe(first.port);
    squatter.close();
  });

  it('says that the port asked for is taken', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as { port: number };
    await expect(start({ port })).rejects.toMatchObject({
      code: 'ERR_PORT_TAKEN',
      message: `port ${port} is taken by another program`,
    });
    squatter.close();
  });

  it('starts a server that died again, at the same place and with its data', async () => {
    const lines: string[] = [];
    const server = await start({ log: (line) => void lines.push(line) });
    const control = await connectAs('control', server.url);
    const log = await control.log('WEIR_POLICY');
    await log.append({ subject: 'weir.default.policy.commit', data: new Uint8Array([1]) });
    const { pid } = server;
    process.kill(pid, 'SIGKILL');
    await until(() => !control.connected);
    await until(() => control.connected);
    expect(server.pid).not.toBe(pid);
    await until(async () => (await log.lastSequence().catch(() => 0)) === 1);
    expect(lines).toEqual(['nats-server ended (SIGKILL); starting it again']);
  });

  it('refuses to run a second time on the same installation', async () => {
    const server = await start();
    await expect(startNatsServer({ home })).rejects.toMatchObject({
      code: 'ERR_PORT_TAKEN',
      message: expect.stringMatching(/already runs on .* \(nats-server is process \d+/),
    });
    expect(isAlive(server.pid)).toBe(true);
  });

  it('ends what an earlier run left behind and takes its place', async () => {
    const config = join(home, 'nats', 'server.conf');
    const orphan = spawn(natsServerBinary, ['-c', config, '-p', '-1'], { stdio: 'ignore' });
    const gone = spawn('true');
    await once(gone, 'exit');
    const state = { pid: orphan.pid, port: 4999, keeper: gone.pid };
    await until(() => orphan.pid !== undefined);
    await writeFile(join(home, 'nats', 'server.json'), JSON.stringify(state));
    const ended = once(orphan, 'exit');
    const server = await start();
    await ended;
    expect((await connectAs('control', server.url)).connected).toBe(true);
  });

  it('leaves a process alone that only has the number of an old one', async () => {
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    const state = { pid: bystander.pid, port: 0, keeper: process.pid };
    await writeFile(join(home, 'nats', 'server.json'), JSON.stringify(state));
    await start();
    expect(bystander.exitCode).toBeNull();
    expect(bystander.signalCode).toBeNull();
    bystander.kill();
  });

  it('starts from a state file that a crash cut short', async () => {
    await writeFile(join(home, 'nats', 'server.json'), '{"pid":12');
    expect((await start()).pid).toBeGreaterThan(0);
  });

  it('says that there is no installation', async () => {
    await rm(home, { recursive: true });
    await expect(start()).rejects.toThrow(/there is no installation in/);
  });

  it('says why a server does not start', async () => {
    await writeFile(join(home, 'nats', 'server.conf'), 'nonsense {');
    await expect(start()).rejects.toThrow(
      /did not start \(exit code 1\): Parse error .*; see .*server\.log/,
    );
  });
});

describe('addAgent', () => {
  it('lets a running server know, and no connection is lost', async () => {
    const server = await start();
    const brokers = [await connectAs('control', server.url), await connectAs('edge-1', server.url)];
    const changes = brokers.map((broker) => collect(broker.status()));
    const { isReloaded } = await addAgent({ home, name: 'edge-2', scope: 'edge.public' });
    expect(isReloaded).toBe(true);
    expect((await connectAs('edge-2', server.url)).connected).toBe(true);
    for (const { items } of changes)
      expect(items.map(({ connected }) => connected)).toEqual([true]);
  });

  it('lets an agent in that had been refused so far', async () => {
    const server = await start();
    const other = `${home}-other`;
    await install({ home: other, agents: [{ name: 'edge-9', scope: 'edge.public' }] });
    const seed = await readFile(join(other, 'credentials', 'edge-9.nk'), 'utf8');
    await rm(other, { recursive: true });
    const lines: string[] = [];
    const connecting = connectNats({
      url: server.url,
      name: 'edge-9',
      credentials: seed,
      log: (line) => void lines.push(line),
    });
    await until(() => lines.length > 0);
    await writeFile(join(home, 'credentials', 'edge-9.nk'), seed, { mode: 0o600 });
    await addAgent({ home, name: 'edge-9', scope: 'edge.public' });
    const broker = await connecting;
    opened.push(broker);
    expect(broker.connected).toBe(true);
    expect(lines[0]).toBe(
      `nats-server at ${server.url} refuses the credentials of edge-9; trying again until they are known there`,
    );
  });

  it('says that no server is running', async () => {
    const { isReloaded } = await addAgent({ home, name: 'edge-2', scope: 'edge.public' });
    expect(isReloaded).toBe(false);
  });
});
