// The whole agent on the memory bus: everything but sockets for its admin server is a fake.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMemoryHub, type MemoryBroker } from '#adapters/bus-memory/broker.ts';
import type { ControlMessage } from '#engine/model/control-message.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type { Ack, Heartbeat, Sample } from '#engine/model/telemetry.ts';
import { type Agent, type AgentDeps, startAgent } from '#services/agent/agent.ts';
import {
  createFakePlane,
  createManualTime,
  createMemoryLastGood,
  type FakePlane,
  type MemoryLastGood,
} from '#test/support/agent-fakes.ts';
import {
  controlKeys,
  decisionMessage,
  emptySnapshot,
  snapshotMessage,
} from '#test/support/control-messages.ts';

const keys = await controlKeys();
const names = subjects();
const SCOPE = 'edge.public';

let hub: ReturnType<typeof createMemoryHub>;
let control: MemoryBroker;
let bus: MemoryBroker;
let plane: FakePlane;
let store: MemoryLastGood;
let time: ReturnType<typeof createManualTime>;
let lines: string[];
let agent: Agent;
let heard: { acks: Ack[]; beats: Heartbeat[]; samples: Sample[] };

const listen = async <T>(subject: string, into: T[]): Promise<void> => {
  for await (const { data } of control.bus.subscribe(subject))
    into.push(JSON.parse(new TextDecoder().decode(data)) as T);
};

const start = async (deps: Partial<AgentDeps> = {}): Promise<Agent> => {
  agent = await startAgent(
    {
      agent: 'edge-1',
      mesh: 'default',
      scope: SCOPE,
      version: '0.1.0',
      own: { name: 'public', app: 'edge' },
      admin: { host: '127.0.0.1', port: 0 },
      drainDelayMs: 500,
    },
    {
      connect: async () => bus,
      verifier: keys.verifier,
      plane,
      store,
      time,
      log: (line) => lines.push(line),
      incarnation: 'i1',
      ...deps,
    },
  );
  return agent;
};

const publish = async (message: ControlMessage): Promise<number> => {
  const log = await control.log(streams.control);
  const subject =
    message.type !== 'decision'
      ? names[message.type](SCOPE)
      : names.decision(SCOPE, 'split', message.decision.body.target);
  return await log.append({ subject, data: await keys.seal(message) });
};
const get = async (path: string) => {
  const response = await fetch(`${agent.adminUrl}${path}`);
  return { status: response.status, body: await response.text() };
};
const facts = (startMs: number) => ({
  startMs,
  spanMs: 1000,
  reporter: 'source' as const,
  revision: 8,
  series: [],
});

beforeEach(() => {
  hub = createMemoryHub();
  control = hub.connect('control');
  bus = hub.connect('edge');
  plane = createFakePlane();
  store = createMemoryLastGood();
  time = createManualTime();
  lines = [];
  heard = { acks: [], beats: [], samples: [] };
  void listen(names.everyAck, heard.acks);
  void listen(names.everyAlive, heard.beats);
  void listen(names.everySample, heard.samples);
});
afterEach(async () => {
  await agent.close();
  await control.close();
});

describe('an agent on the bus', () => {
  it('is not ready before the first snapshot, and says starting', async () => {
    await start();
    const { status, body } = await get('/ready');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ ready: false, state: 'starting', revision: 0 });
    expect((await get('/live')).status).toBe(200);
    expect((await get('/snapshot')).status).toBe(503);
  });

  it('takes what the stream holds, follows it, and acks each message', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    await vi.waitFor(() => expect(heard.acks).toHaveLength(1));
    await publish(decisionMessage(2, 8));
    await vi.waitFor(() => expect(heard.acks).toHaveLength(2));
    expect(heard.acks.map(({ outcome, position }) => [outcome, position])).toEqual([
      ['applied', 1],
      ['applied', 2],
    ]);
    const { status, body } = await get('/ready');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ state: 'live', revision: 8, position: '0.2' });
  });

  it('beats every second with what it has, can and does', async () => {
    await publish(snapshotMessage(1, 8));
    await start({
      workload: () => ({ namespace: 'bibby', name: 'catalog', labels: {}, endpoints: [] }),
    });
    await vi.waitFor(() => expect(heard.acks).toHaveLength(1));
    const before = heard.beats.length;
    time.advance(3000);
    await vi.waitFor(() => expect(heard.beats).toHaveLength(before + 3));
    expect(heard.beats.at(-1)).toMatchObject({
      agent: 'edge-1',
      scope: SCOPE,
      incarnation: 'i1',
      revision: 8,
      position: 1,
      state: 'live',
      capabilities: ['http', 'split'],
      workload: { name: 'catalog' },
    });
  });

  it('numbers its samples', async () => {
    await start();
    plane.sample(facts(1));
    plane.sample(facts(2));
    await vi.waitFor(() => expect(heard.samples).toHaveLength(2));
    expect(heard.samples.map(({ sequence, incarnation }) => [sequence, incarnation])).toEqual([
      [1, 'i1'],
      [2, 'i1'],
    ]);
  });

  it('is stale for as long as control is silent', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
    time.advance(7000);
    expect(agent.status().stalenessMs).toBe(7000);
    const beat = { v: 1, type: 'control-alive', sequences: { [streams.control]: 1 } };
    control.bus.publish(names.heartbeat, new TextEncoder().encode(JSON.stringify(beat)));
    await vi.waitFor(() => expect(agent.status().stalenessMs).toBe(0));
    expect((await get('/metrics')).body).toContain('weir_policy_staleness_seconds 0\n');
  });

  it('stays stale while it cannot enforce the newest policy', async () => {
    await start();
    plane.refuse = 'bad certificate';
    await publish(snapshotMessage(1, 8));
    await vi.waitFor(() => expect(heard.acks).toHaveLength(1));
    time.advance(5000);
    const beat = { v: 1, type: 'control-alive', sequences: { [streams.control]: 1 } };
    control.bus.publish(names.heartbeat, new TextEncoder().encode(JSON.stringify(beat)));
    await new Promise((resolve) => setImmediate(resolve));
    expect(agent.status().stalenessMs).toBe(5000);
  });

  it('does not mind words on the heartbeat subject that it cannot read', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    for (const text of ['', '{', 'null', '{"sequences":3}', '{"type":"control-alive"}'])
      control.bus.publish(names.heartbeat, new TextEncoder().encode(text));
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
  });
});

describe('an agent whose bus is away', () => {
  it('goes on with what it has, says static, and catches up later', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
    bus.cut();
    await publish(snapshotMessage(2, 9));
    expect(agent.status()).toMatchObject({ state: 'static', isReady: true, revision: 8 });
    bus.heal();
    await vi.waitFor(() => expect(agent.status()).toMatchObject({ state: 'live', revision: 9 }));
  });

  it('starts from disk and is ready, though nobody answers', async () => {
    store.saved.push([await keys.seal(snapshotMessage(1, 8))]);
    await start({ connect: (signal) => untilAborted(signal) });
    expect(agent.status()).toMatchObject({ state: 'static', isReady: true, revision: 8 });
    expect((await get('/ready')).status).toBe(200);
  });

  it('keeps the newest samples and counts those it drops', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
    bus.cut();
    for (let index = 1; index <= 40; index += 1) plane.sample(facts(index));
    await vi.waitFor(async () =>
      expect((await get('/metrics')).body).toContain(
        'weir_dropped_messages_total{kind="sample"} 10',
      ),
    );
    bus.heal();
    await vi.waitFor(() => expect(heard.samples).toHaveLength(30));
    expect(heard.samples[0]?.sequence).toBe(11);
  });

  it('tries again when the control stream cannot be read yet', async () => {
    bus.cut();
    await start();
    await vi.waitFor(() => expect(lines.join()).toContain('cannot read the control stream'));
    bus.heal();
    await publish(snapshotMessage(1, 8));
    await vi.waitFor(() => {
      time.advance(1000);
      expect(agent.status().state).toBe('live');
    });
  });
});

describe('draining', () => {
  it('turns readiness off and announces it before anything is cut', async () => {
    await publish(snapshotMessage(1, 8));
    await start({
      workload: () => ({ namespace: 'bibby', name: 'catalog', labels: {}, endpoints: [] }),
    });
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
    const drained = agent.drain(30_000);
    expect((await get('/ready')).status).toBe(503);
    await vi.waitFor(() => expect(heard.beats.at(-1)?.state).toBe('draining'));
    expect(heard.beats.at(-1)?.workload).toBeUndefined();
    await drained;
    expect(plane.drained).toEqual([[30_000, 500]]);
  });
});

describe('the admin server', () => {
  it('shows the snapshot without its secrets', async () => {
    const secret = 'do-not-show';
    await publish(
      snapshotMessage(1, 8, {
        ...emptySnapshot,
        listeners: [
          {
            name: 'https',
            address: '',
            port: 443,
            protocol: 'HTTPS',
            trustedProxies: [],
            limits: {} as never,
            path: {} as never,
            tls: {
              mode: 'Terminate',
              certificates: [{ certificate: 'shown', key: secret }],
              minVersion: '1.2',
              alpn: [],
            },
          },
        ],
        authentications: {
          a: {
            origin: { resource: 'Authentication/bibby/a' },
            mode: 'required',
            methods: [
              {
                type: 'jwt',
                issuers: [
                  {
                    issuer: 'https://id.bibby.com',
                    audiences: [],
                    requireAudience: false,
                    algorithms: ['HS256'],
                    keys: [],
                    secret,
                    clockSkewMs: 0,
                    claimsToHeaders: [],
                    from: {},
                    forwardToken: false,
                  },
                ],
              },
            ],
          },
        },
        consumers: [
          {
            name: 'alice',
            groups: [],
            apiKeys: [{ id: 'k1', salt: secret, hash: secret, expiresMs: 0 }],
            basic: { username: 'alice', hash: secret },
            certificates: [],
          },
        ],
      }),
    );
    await start();
    await vi.waitFor(() => expect(agent.status().state).toBe('live'));
    const { body } = await get('/snapshot');
    expect(body).not.toContain(secret);
    expect(JSON.parse(body)).toMatchObject({ revision: 8, position: '0.1', scope: SCOPE });
    expect(body).toContain('https://id.bibby.com');
  });

  it('says which port is taken', async () => {
    await start();
    const port = Number(new URL(agent.adminUrl).port);
    await expect(
      startAgent(
        {
          agent: 'edge-2',
          mesh: 'default',
          scope: SCOPE,
          version: '0.1.0',
          own: { name: 'public', app: 'edge' },
          admin: { host: '127.0.0.1', port },
          drainDelayMs: 0,
        },
        {
          connect: async () => bus,
          verifier: keys.verifier,
          plane: createFakePlane(),
          store: createMemoryLastGood(),
          time,
          log: () => {},
          incarnation: 'i2',
        },
      ),
    ).rejects.toThrow(`the admin address 127.0.0.1:${port} is in use already`);
  });

  it('has its figures in Prometheus’ format', async () => {
    await publish(snapshotMessage(1, 8));
    await start();
    await vi.waitFor(() => expect(heard.acks).toHaveLength(1));
    const { body } = await get('/metrics');
    for (const line of [
      'weir_policy_revision 8',
      'weir_policy_position 1',
      'weir_agent_state{state="live"} 1',
      'weir_control_messages_total{type="snapshot",outcome="applied"} 1',
      'weir_build_info{version="0.1.0",scope="edge.public",agent="edge-1"} 1',
    ])
      expect(body).toContain(`${line}\n`);
    expect(body).toMatch(/^process_resident_memory_bytes \d+$/m);
  });
});

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('given up')), { once: true }),
  );
