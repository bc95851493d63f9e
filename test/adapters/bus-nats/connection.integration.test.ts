import { once } from 'node:events';
import { createServer } from 'node:net';
import { createUser } from '@nats-io/nkeys';
import { afterEach, describe, expect, it } from 'vitest';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { settled, until } from '#test/conformance/broker-world.ts';
import { startTestNatsServer, type TestNatsServer } from '#test/support/nats-server.ts';

let server: TestNatsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe('connectNats', () => {
  it('waits for a server that is not there yet, and says so once', async () => {
    server = await startTestNatsServer();
    await server.stop();
    const lines: string[] = [];
    const connecting = connectNats({
      url: server.url,
      name: 'early',
      log: (line) => void lines.push(line),
    });
    await until(() => lines.length > 0);
    await new Promise((later) => setTimeout(later, 500));
    await server.start();
    const broker = await connecting;
    expect(broker.connected).toBe(true);
    expect(lines).toEqual([`no nats-server answers at ${server.url}; trying again until one does`]);
    await broker.close();
  });

  it('gives up on the first connection when it is told to', async () => {
    const taken = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const stop = new AbortController();
    const connecting = connectNats({
      url: `nats://127.0.0.1:${port}`,
      name: 'x',
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(), 100);
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_BUS_UNREACHABLE' });
    taken.close();
  });

  it('refuses credentials that are none', async () => {
    await expect(
      connectNats({ url: 'nats://127.0.0.1:1', name: 'x', credentials: 'secret' }),
    ).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });

  it('lives through a server that forgets it and knows it again', async () => {
    const user = createUser();
    const key = user.getPublicKey();
    server = await startTestNatsServer(`authorization { users = [ { nkey: ${key} } ] }`);
    const lines: string[] = [];
    const broker = await connectNats({
      url: server.url,
      name: 'edge-1',
      credentials: new TextDecoder().decode(user.getSeed()),
      log: (line) => void lines.push(line),
    });
    const stranger = createUser().getPublicKey();
    await server.reconfigure(`authorization { users = [ { nkey: ${stranger} } ] }`);
    await until(() => lines.some((line) => line.includes('refuses the credentials of edge-1')));
    expect(broker.connected).toBe(false);
    await server.reconfigure(`authorization { users = [ { nkey: ${key} } ] }`);
    await until(() => broker.connected);
    expect(lines.filter((line) => line.includes('refuses'))).toHaveLength(1);
    await broker.close();
  });

  it('says once that the server drops what it publishes', async () => {
    const user = createUser();
    server = await startTestNatsServer(
      `authorization { users = [ { nkey: ${user.getPublicKey()}, permissions: { publish: { allow: ["allowed.>", "settle.>"] } } } ] }`,
    );
    const lines: string[] = [];
    const broker = await connectNats({
      url: server.url,
      name: 'edge-1',
      credentials: new TextDecoder().decode(user.getSeed()),
      log: (line) => void lines.push(line),
    });
    for (const subject of ['allowed.x', 'denied.x', 'denied.x'])
      broker.bus.publish(subject, new Uint8Array());
    await until(() => lines.length > 0);
    await settled(broker);
    expect(lines).toEqual(['nats-server does not let this user publish to denied.x']);
    await broker.close();
  });

  it('warns of an old server', async () => {
    server = await startTestNatsServer();
    const broker = await connectNats({ url: server.url, name: 'x' });
    const isOld = /^2\.(9|10\.(\d|1\d|2[0-2]))\b/.test(
      (await server.version()).replace(/^.*v/, ''),
    );
    expect(broker.warnings.some((line) => line.includes('older than 2.10.23'))).toBe(isOld);
    await broker.close();
  });
});
