import { createMemoryHub, type MemoryBroker } from '#adapters/bus-memory/broker.ts';
import type { BrokerWorld } from '#test/conformance/broker-world.ts';
import { busSuite } from '#test/conformance/bus.suite.ts';
import { logSuite } from '#test/conformance/log.suite.ts';
import { storeSuite } from '#test/conformance/store.suite.ts';

const create = async (): Promise<BrokerWorld> => {
  const hub = createMemoryHub();
  const brokers: MemoryBroker[] = [];
  return {
    connect: async (user) => {
      const broker = hub.connect(user);
      brokers.push(broker);
      return broker;
    },
    outage: async (meanwhile) => {
      for (const broker of brokers) broker.cut();
      await meanwhile();
      for (const broker of brokers) broker.heal();
    },
    recreateStream: async (name) => hub.recreateStream(name),
    close: async () => {
      for (const broker of brokers) await broker.close();
    },
  };
};

busSuite({ name: 'memory', create });
logSuite({ name: 'memory', create, bigValueBytes: 9 * 1024 * 1024 });
storeSuite({ name: 'memory', create });
