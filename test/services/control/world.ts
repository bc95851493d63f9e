// A whole control plane in one process: real parts and real signatures over the memory bus, with time in our hands.
import { createMemoryHub, type Hub, type MemoryBroker } from '#adapters/bus-memory/broker.ts';
import {
  createSigner,
  createVerifier,
  generateSigningKeys,
} from '#adapters/signer-ed25519/signer.ts';
import type { ApplyAnswer, ErrorAnswer, Role, RolloutStatus } from '#engine/model/api.ts';
import type { Event } from '#engine/model/event.ts';
import type { Scope } from '#engine/model/scope.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type { Workload } from '#engine/model/telemetry.ts';
import type { Log } from '#engine/ports/log.ts';
import type { Signer, Verifier } from '#engine/ports/signer.ts';
import type { Store } from '#engine/ports/store.ts';
import { createAccess } from '#services/control/access.ts';
import { type Control, type ControlDeps, startControl } from '#services/control/control.ts';
import { FakeAgent, type FakeAgentOptions } from './fake-agent.ts';
import { createTestTime, settle, type TestTime, until, waitedFor } from './test-time.ts';

const keys = await generateSigningKeys();
const realSigner = createSigner(keys.privateJwk);
const realVerifier = createVerifier(keys.jwks);
const signer: Signer = {
  keyId: realSigner.keyId,
  seal: (payload) => waitedFor(realSigner.seal(payload)),
};
export const verifier: Verifier = { open: (sealed) => waitedFor(realVerifier.open(sealed)) };

const token = (role: Role): string => `${role}-token-0123456789`;

export interface Replica {
  readonly control: Control;
  readonly broker: MemoryBroker & {
    /** Appends to these subjects fail until they are allowed again. */
    refuseAppends(to: (subject: string) => boolean): { allow(): void };
    /** Something that comes first whenever an append is made. */
    beforeAppends(comes: (subject: string) => Promise<void>): void;
    /** Writes to these buckets do not get through, as those of a process that is stopped; they all do in the end. */
    holdWrites(...names: readonly string[]): { release(): void };
  };
  readonly lines: string[];
  /** As by kill -9: from this moment nothing of it reaches the bus. */
  kill(): void;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T & ErrorAnswer;
}

export class World {
  readonly hub: Hub;
  readonly time: TestTime = createTestTime();
  readonly replicas: Replica[] = [];
  readonly agents: FakeAgent[] = [];

  constructor() {
    this.hub = createMemoryHub({ now: () => this.time.now() });
  }

  async start(
    instance = 'control-1',
    {
      isReady = true,
      ...surroundings
    }: Pick<ControlDeps, 'keys' | 'assumed' | 'web'> & { readonly isReady?: boolean } = {},
  ): Promise<Replica> {
    const broker = refusable(this.hub.connect('control'));
    const lines: string[] = [];
    const control = await startControl(
      { mesh: 'default', instance, version: 'test' },
      {
        broker,
        signer,
        verifier,
        access: createAccess({
          tokens: () =>
            (['viewer', 'operator', 'admin'] as const).map((role) => ({
              name: role,
              role,
              token: token(role),
            })),
          users: () => [
            { name: 'alice', role: 'operator', publicKey: 'A' },
            { name: 'victor', role: 'viewer', publicKey: 'V' },
            { name: 'liar', role: 'agent', publicKey: 'L', scope: 'edge.private' },
          ],
        }),
        time: this.time,
        files: () => undefined,
        ...surroundings,
        log: (line) => lines.push(line),
      },
    );
    const replica = { control, broker, lines, kill: () => broker.cut() };
    this.replicas.push(replica);
    if (!isReady) {
      await this.time.advance(0);
      return replica;
    }
    await until('it is ready', async () => {
      const response = await control.http.inject({ method: 'GET', url: '/ready' });
      if (response.statusCode === 200) return true;
      await this.time.advance(0);
      return false;
    });
    await settle();
    return replica;
  }

  async agent(
    agent: string,
    scope: Scope,
    more: Partial<FakeAgentOptions> = {},
  ): Promise<FakeAgent> {
    const started = await new FakeAgent({
      broker: this.hub.connect(agent),
      verifier,
      agent,
      scope,
      now: () => this.time.now(),
      ...more,
    }).start();
    this.agents.push(started);
    await settle();
    return started;
  }

  /** Seconds go by, agents beat, and whatever else the test wants every second. */
  async seconds(count: number, each: () => void = () => {}): Promise<void> {
    for (let second = 0; second < count; second += 1) {
      for (const agent of this.agents) agent.beat();
      each();
      await this.time.advance(1000);
    }
  }

  async call<T>(
    operation: readonly [method: 'GET' | 'POST', url: string],
    body?: unknown,
    options: { readonly role?: Role; readonly replica?: Replica; readonly type?: string } = {},
  ): Promise<Answer<T>> {
    const {
      role = 'operator',
      replica = this.replicas.at(-1),
      type = 'application/json',
    } = options;
    if (!replica) throw new Error('no replica is running');
    const [method, url] = operation;
    const response = await replica.control.http.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${token(role)}`,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.statusCode, body: response.json() };
  }

  async apply(text: string, more: object = {}): Promise<ApplyAnswer> {
    const documents = [{ file: 'policy.yaml', text }];
    const { status, body } = await this.call<ApplyAnswer>(['POST', '/v1/policy'], {
      documents,
      ...more,
    });
    if (status !== 200) throw new Error(JSON.stringify(body));
    await settle();
    return body;
  }

  async rollout(name = 'bibby/catalog'): Promise<RolloutStatus> {
    const { body } = await this.call<{ rollouts: RolloutStatus[] }>(['GET', '/v1/rollouts']);
    const found = body.rollouts.find(({ id }) => id === name);
    if (!found) throw new Error(`no rollout ${name}`);
    return found;
  }

  async events(): Promise<readonly Event[]> {
    const log = await this.hub.connect().log(streams.events);
    const reader = log.read(subjects().everyEvent, 'all');
    void reader.caughtUp.then(() => reader.close());
    const events: Event[] = [];
    for await (const { data } of reader)
      events.push(JSON.parse(new TextDecoder().decode(data)) as Event);
    return events;
  }

  async stop(): Promise<void> {
    for (const agent of this.agents) agent.stop();
    for (const { control } of this.replicas) await control.close();
  }

  until = until;
}

export const catalog = (version: string, address = `10.0.0.${version.at(-1)}`): Workload => ({
  namespace: 'bibby',
  name: 'catalog',
  labels: { app: 'catalog-service', version },
  endpoints: [{ address, port: 9001 }],
});

const refusable = (broker: MemoryBroker): Replica['broker'] => {
  let isRefused: (subject: string) => boolean = () => false;
  let before: (subject: string) => Promise<void> = async () => {};
  const open = broker.log.bind(broker);
  const openStore = broker.store.bind(broker);
  let held: { readonly names: readonly string[]; readonly until: Promise<void> } | undefined;
  const untilReleased = async (name: string): Promise<void> => {
    if (held?.names.includes(name)) await held.until;
  };
  return Object.assign(broker, {
    log: async (name: string): Promise<Log> => {
      const log = await open(name);
      return {
        ...log,
        append: async (entry) => {
          await before(entry.subject);
          if (isRefused(entry.subject)) throw new Error(`refused on ${entry.subject}`);
          return log.append(entry);
        },
      };
    },
    store: async (name: string): Promise<Store> => {
      const store = await openStore(name);
      return {
        ...store,
        put: async (key, value) => {
          await untilReleased(name);
          return store.put(key, value);
        },
        create: async (key, value) => {
          await untilReleased(name);
          return store.create(key, value);
        },
      };
    },
    beforeAppends: (comes: (subject: string) => Promise<void>) => {
      before = comes;
    },
    holdWrites: (...names: readonly string[]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = { names, until: promise };
      return {
        release: () => {
          held = undefined;
          resolve();
        },
      };
    },
    refuseAppends: (to: (subject: string) => boolean) => {
      isRefused = to;
      return {
        allow: () => {
          isRefused = () => false;
        },
      };
    },
  });
};
