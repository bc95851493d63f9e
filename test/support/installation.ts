// An installation in a temporary folder with its nats-server running.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';
import { connectNats, type NatsBroker } from '#adapters/bus-nats/broker.ts';
import { inboxPrefix, parseCredentials } from '#adapters/bus-nats/credentials.ts';
import { createUserNames } from '#adapters/bus-nats/users.ts';
import { type AgentUser, type Installation, install } from '#services/setup/install.ts';
import { type NatsServer, startNatsServer } from '#services/setup/nats-server.ts';

export interface TestInstallation extends Installation {
  readonly server: NatsServer;
  /** The broker as `user` has it. */
  broker(user: string): Promise<NatsBroker>;
  /** A bare connection with the credentials of `user`: what somebody could do who stole them. */
  raw(user: string): Promise<NatsConnection>;
  publicKey(user: string): Promise<string>;
  close(): Promise<void>;
}

export const startTestInstallation = async (
  agents: readonly AgentUser[] = [],
): Promise<TestInstallation> => {
  const home = await mkdtemp(join(tmpdir(), 'weir-home-'));
  const installation = await install({ home, agents });
  const server = await startNatsServer({ home });
  const opened: { close(): Promise<void> }[] = [];
  const credentials = (user: string) => readFile(join(home, 'credentials', `${user}.nk`), 'utf8');
  return {
    ...installation,
    server,
    broker: async (user) => {
      const broker = await connectNats({
        url: server.url,
        name: user,
        credentials: await credentials(user),
        userName: createUserNames(installation.users),
      });
      opened.push(broker);
      return broker;
    },
    raw: async (user) => {
      const { seed, publicKey } = parseCredentials(await credentials(user));
      const connection = await connect({
        servers: server.url,
        authenticator: nkeyAuthenticator(seed),
        inboxPrefix: inboxPrefix(publicKey),
      });
      opened.push(connection);
      return connection;
    },
    publicKey: async (user) => parseCredentials(await credentials(user)).publicKey,
    close: async () => {
      for (const thing of opened) await thing.close();
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
};
