// A service with three endpoints of which one fails when told to, behind two real edges, under two control processes that can
// be killed, frozen and cut off. Real nats-server, real sockets, real time.
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { viewOf } from '#engine/agent/agent.ts';
import type { ApplyAnswer, BreakerAnswer, BreakerStatus, ErrorAnswer } from '#engine/model/api.ts';
import { decisionId } from '#engine/model/decision.ts';
import type { Event } from '#engine/model/event.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type { Heartbeat } from '#engine/model/telemetry.ts';
import type { Edge } from '#services/edge/edge.ts';
import { all, gateway } from '#test/services/control/documents.ts';
import type { FakeAgent } from '#test/services/control/fake-agent.ts';
import {
  type ControlProcess,
  eventually,
  pause,
  TestInstallation,
} from '#test/services/control/installation.ts';
import { startRealEdge } from '#test/services/control/real-edge.ts';
import { startWire, type Wire } from '#test/support/tcp-proxy.ts';

export const harms = ['kill', 'freeze', 'cut'] as const;
export type Harm = (typeof harms)[number];

const EDGES = ['edge-1', 'edge-2'];
const WATCHER = 'edge-watch';
const REPLICAS = ['one', 'two'];
/** Requests per second through each edge. */
const RATE = 20;
const EJECTION_S = 5;

interface Backend {
  readonly server: Server;
  readonly port: number;
  isBad: boolean;
  /** So many more requests fail, whatever it is otherwise. */
  failNext: number;
}

const startBackend = async (): Promise<Backend> => {
  const server = createServer((_asked, response) => {
    const isBad = backend.isBad || backend.failNext > 0;
    backend.failNext = Math.max(0, backend.failNext - 1);
    response.statusCode = isBad ? 500 : 200;
    response.setHeader('x-backend', `${backend.port}`);
    response.end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const backend: Backend = { server, port, isBad: false, failNext: 0 };
  return backend;
};

const policy = (service: string, ports: readonly number[]): string =>
  all(
    gateway,
    `apiVersion: weir.dev/v1
kind: Service
metadata: { name: ${service}, namespace: bibby }
spec:
  endpoints: [${ports.map((port) => `{ address: 127.0.0.1, port: ${port} }`).join(', ')}]
  loadBalancing: { policy: RoundRobin }
  outlierDetection: { consecutive5xxErrors: 5, baseEjectionTime: ${EJECTION_S}s }
`,
    `apiVersion: weir.dev/v1
kind: Service
metadata: { name: storm, namespace: bibby }
spec: { endpoints: [{ address: 127.0.0.1, port: ${ports[0]} }] }
`,
    `apiVersion: weir.dev/v1
kind: Route
metadata: { name: main, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules:
    - matches: [{ path: { prefix: /storm } }]
      backends: [{ service: storm }]
      retry: { attempts: 1, on: [5xx], backoff: 1ms }
    - backends: [{ service: ${service} }]
`,
  );

/** What callers saw. Nothing but an answer of a backend that fails is a failure that may be. */
export interface Seen {
  requests: number;
  failures: number;
  readonly lost: string[];
}

export class BreakerWorld {
  readonly seen: Seen = { requests: 0, failures: 0, lost: [] };
  /** Positions and revisions as each agent announced them, in order. */
  readonly announced = new Map<string, { position: number; revision: number }[]>();
  readonly place: TestInstallation;
  readonly backends: Backend[] = [];
  watcher!: FakeAgent;
  replicas: ControlProcess[] = [];
  service = '';
  path = '/';
  readonly #wires: Wire[] = [];
  readonly #edges: Edge[] = [];
  readonly #keepAlive = new Agent({ keepAlive: true });
  readonly #underWay = new Set<Promise<void>>();
  #traffic: NodeJS.Timeout | undefined;

  private constructor(place: TestInstallation) {
    this.place = place;
  }

  static async start(): Promise<BreakerWorld> {
    const place = await TestInstallation.create(
      [...EDGES, WATCHER].map((name) => ({ name, scope: 'edge.public' as const })),
    );
    const world = new BreakerWorld(place);
    const { hostname: host, port } = new URL(place.nats.url);
    for (const _ of REPLICAS) world.#wires.push(await startWire({ host, port: Number(port) }));
    world.replicas = await Promise.all(REPLICAS.map((_, at) => world.#control(at)));
    for (const _ of [1, 2, 3]) world.backends.push(await startBackend());
    await world.#watch();
    for (const name of EDGES) world.#edges.push(await startRealEdge(world.place, name));
    return world;
  }

  /** A service of a new name: its breakers have no past. */
  async begin(round: number): Promise<void> {
    this.service = `s${round}`;
    for (const backend of this.backends) Object.assign(backend, { isBad: false, failNext: 0 });
    const leader = await this.leader();
    const text = policy(
      this.service,
      this.backends.map(({ port }) => port),
    );
    const answer = await this.place.post<ApplyAnswer & ErrorAnswer>(leader.url, '/v1/policy', {
      documents: [{ file: 'chaos.yaml', text }],
      allOrNothing: true,
      wait: { percent: 100, timeoutMs: 30_000 },
    });
    if (!answer.wait?.reached) throw new Error(`not everywhere: ${JSON.stringify(answer)}`);
    await eventually('the edges listen', () =>
      this.#edges.every((edge) => edge.addresses().length > 0),
    );
  }

  /** `namespace/service/address:port` of the endpoint that fails. */
  get endpoint(): string {
    return `bibby/${this.service}/127.0.0.1:${this.backends[0]?.port}`;
  }

  /** Open loop: a slow answer does not hold the next request back. */
  send(path = '/'): void {
    this.path = path;
    if (this.#traffic) return;
    this.#traffic = setInterval(() => {
      for (const edge of this.#edges) {
        const asked = this.#call(edge.addresses()[0]?.port ?? 0);
        this.#underWay.add(asked);
        void asked.finally(() => this.#underWay.delete(asked));
      }
    }, 1000 / RATE);
  }

  async hush(): Promise<void> {
    clearInterval(this.#traffic);
    this.#traffic = undefined;
    await Promise.all(this.#underWay);
  }

  async leader(): Promise<ControlProcess> {
    let found: ControlProcess | undefined;
    await eventually(
      'one leads',
      async () => {
        for (const replica of this.replicas) if (await isLeading(replica)) found = replica;
        return found !== undefined;
      },
      30_000,
    );
    return found as ControlProcess;
  }

  /** Takes the leader away; resolves with the milliseconds until the other one leads. `heal` brings it back. */
  async harm(
    harm: Harm,
  ): Promise<{ readonly takeoverMs: number; readonly heal: () => Promise<void> }> {
    const leader = await this.leader();
    const at = this.replicas.indexOf(leader);
    const other = this.replicas[1 - at] as ControlProcess;
    if (harm === 'kill') await leader.kill();
    else if (harm === 'freeze') leader.pause();
    else this.#wires[at]?.cut();
    const takeoverMs = await eventually('the other leads', () => isLeading(other), 30_000);
    return {
      takeoverMs,
      heal: async () => {
        if (harm === 'kill') this.replicas[at] = await this.#control(at);
        else if (harm === 'freeze') leader.resume();
        else this.#wires[at]?.mend();
        await pause(500);
        if (!(await isLeading(other))) throw new Error('the deposed leader leads again');
      },
    };
  }

  async breaker(): Promise<BreakerStatus | undefined> {
    const { url } = await this.leader();
    const { breakers } = await this.place.get<BreakerAnswer>(url, '/v1/breakers');
    return breakers.find(({ endpoint }) => endpoint === this.endpoint);
  }

  /** As an agent has it: what it is to do about the endpoint, and its share of retries towards `storm`. */
  get word(): { readonly breaker: string; readonly retryPercent: number | undefined } {
    const breaker = this.#decided(decisionId({ type: 'breaker', target: this.endpoint }));
    const target = 'edge.public/bibby/storm';
    const budget = this.#decided(decisionId({ type: 'retry-budget', target }));
    return {
      breaker: breaker?.type === 'breaker' ? breaker.state : 'closed',
      retryPercent: budget?.type === 'retry-budget' ? budget.percent : undefined,
    };
  }

  #decided(id: string) {
    const view = viewOf(this.watcher.state);
    return view?.overlay.get(id) ?? view?.snapshot.standing.find((one) => one.id === id)?.body;
  }

  /** Of breakers of this round's service and of the retry brake, since the beginning. */
  async events(type: string): Promise<readonly Event[]> {
    const broker = await this.place.connect('control');
    const reader = (await broker.log(streams.events)).read(subjects().event(type), 'all');
    void reader.caughtUp.then(() => reader.close());
    const found: Event[] = [];
    for await (const { data } of reader)
      found.push(JSON.parse(new TextDecoder().decode(data)) as Event);
    await broker.close();
    return found;
  }

  /** Openings with their counts, and how often it was let in and closed. */
  async story(): Promise<readonly string[]> {
    const types = ['breaker.opened', 'breaker.halfOpened', 'breaker.closed'];
    const events = (await Promise.all(types.map((type) => this.events(type)))).flat();
    return events
      .filter(({ subject }) => subject === this.endpoint)
      .toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time))
      .map(({ type, data }) =>
        type === 'weir.breaker.opened' ? `opened ${String(data['openings'])}` : type.slice(13),
      );
  }

  async close(): Promise<void> {
    await this.hush();
    for (const edge of this.#edges) await edge.close();
    for (const { server } of this.backends) {
      server.closeAllConnections();
      server.close();
    }
    this.#keepAlive.destroy();
    for (const wire of this.#wires) await wire.close();
    await this.place.close();
  }

  #control(at: number): Promise<ControlProcess> {
    return this.place.control(REPLICAS[at] ?? '', {
      WEIR_NATS_URL: `nats://127.0.0.1:${this.#wires[at]?.port}`,
    });
  }

  async #watch(): Promise<void> {
    this.watcher = await this.place.agent(WATCHER, 'edge.public');
    const { bus } = await this.place.connect('control');
    const beats = bus.subscribe(subjects().everyAlive);
    void (async () => {
      for await (const { data } of beats) {
        const { agent, position, revision } = JSON.parse(
          new TextDecoder().decode(data),
        ) as Heartbeat;
        const list = this.announced.get(agent) ?? [];
        this.announced.set(agent, [...list, { position, revision }]);
      }
    })();
  }

  #call(port: number): Promise<void> {
    const { seen, path } = this;
    return new Promise((resolve) => {
      const lost = (why: string): void => {
        seen.lost.push(`${new Date().toISOString()} ${why}`);
        resolve();
      };
      seen.requests += 1;
      const asked = request({ port, host: '127.0.0.1', path, agent: this.#keepAlive }, (answer) => {
        answer.resume();
        const isBackends = answer.headers['x-backend'] !== undefined;
        if (answer.statusCode === 500 && isBackends) seen.failures += 1;
        else if (answer.statusCode !== 200) return lost(`status ${answer.statusCode}`);
        answer.on('end', resolve);
        answer.on('error', (error) => lost(error.message));
      });
      asked.setTimeout(10_000, () => asked.destroy(new Error('no answer in 10 s')));
      asked.on('error', (error) => lost(error.message));
      asked.end();
    });
  }
}

const isLeading = async ({ url }: ControlProcess): Promise<boolean> => {
  try {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(500) });
    return /^weir_leader 1$/m.test(await response.text());
  } catch {
    return false;
  }
};
