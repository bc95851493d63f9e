import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import type { Broker } from '#engine/ports/bus.ts';
import type { BrokerWorld } from '#test/conformance/broker-world.ts';
import { busSuite } from '#test/conformance/bus.suite.ts';
import { logSuite } from '#test/conformance/log.suite.ts';
import { storeSuite } from '#test/conformance/store.suite.ts';
import { startTestNatsServer } from '#test/support/nats-server.ts';

const create = async (): Promise<BrokerWorld> => {
  const server = await startTestNatsServer('max_payload: 65536');
  const brokers: Broker[] = [];
  return {
    connect: async (user) => {
      const broker = await connectNats({ url: server.url, name: user ?? 'test' });
      brokers.push(broker);
      return broker;
    },
    outage: async (meanwhile) => {
      await server.kill();
      await meanwhile();
      await server.start();
    },
    recreateStream: async (name) => {
      const connection = await connect({ servers: server.url });
      const { streams } = await jetstreamManager(connection);
      const { config } = await streams.info(name);
      await streams.delete(name);
      await streams.add(config);
      await connection.close();
    },
    close: async () => {
      for (const broker of brokers) await broker.close();
      await server.close();
    },
  };
};

busSuite({ name: 'nats', create });
logSuite({ name: 'nats', create, bigValueBytes: 300_000 });
storeSuite({ name: 'nats', create });
