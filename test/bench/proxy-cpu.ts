// The proxy's own work per request, without kernel and sockets: a steady figure on a busy machine.
import net from 'node:net';
import { Deadlines } from '#adapters/dataplane-node/deadlines.ts';
import { DownstreamConnection } from '#adapters/dataplane-node/downstream/connection.ts';
import { portPlanOf } from '#adapters/dataplane-node/downstream/listener-plan.ts';
import { activeView, type PlaneContext } from '#adapters/dataplane-node/exchange/context.ts';
import { Rush } from '#adapters/dataplane-node/rush.ts';
import { Samples } from '#adapters/dataplane-node/samples.ts';
import { Upstreams } from '#adapters/dataplane-node/upstream/upstreams.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps, snapshotOf } from './proxy-policy.ts';

const REQUEST = Buffer.from(
  'GET /catalog/books/1 HTTP/1.1\r\nHost: api.bibby.com\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n' +
    'Accept-Encoding: gzip\r\nCookie: session=abcdef0123456789\r\nX-Trace: 1\r\n\r\n',
);
const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 07:19:25 GMT\r\nContent-Type: application/json\r\n' +
    `Content-Length: 157\r\nConnection: keep-alive\r\n\r\n${'x'.repeat(157)}`,
);

type OnRead = { callback: (length: number, bytes: Buffer) => boolean; buffer: Buffer };
let written = 0;

/** As much of a socket as the proxy touches. */
class FakeSocket {
  readonly writableNeedDrain = false;
  readonly destroyed = false;
  readonly writableLength = 0;
  readonly connecting = false;
  answers: (() => void) | undefined;
  /** For writes past the stream. */
  readonly _handle = {
    writeLatin1String: (_request: null, text: string): number => {
      this.write(text);
      return 0;
    },
  };
  write(text: string): boolean {
    // What the kernel would get is made, so that joining strings is paid for.
    written += Buffer.byteLength(text, 'latin1') + text.charCodeAt(text.length >> 1);
    this.answers?.();
    return true;
  }
  on(): this {
    return this;
  }
  pause(): void {}
  resume(): void {}
  destroy(): void {}
}

const pendingAnswers: (() => void)[] = [];
const pendingConnects: (() => void)[] = [];
Object.assign(net, {
  connect: (options: { onread: OnRead }) => {
    const socket = new FakeSocket();
    socket.answers = () => {
      pendingAnswers.push(() => {
        ANSWER.copy(options.onread.buffer);
        options.onread.callback(ANSWER.length, options.onread.buffer);
      });
    };
    return Object.assign(socket, {
      on(event: string, listener: () => void) {
        if (event === 'connect') pendingConnects.push(listener);
        return socket;
      },
    });
  },
});

const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const deadlines = new Deadlines(clock.monotonic);
const samples = new Samples({ clock, reporter: 'source', revision: () => 1 });
const snapshot = snapshotOf({ port: 1, upstreamPort: 2, routes: Number(process.argv[2] ?? 1) });
const upstreams = new Upstreams({
  deadlines,
  monotonic: clock.monotonic,
  random: Math.random,
  log: console.error,
})
  .prepare(snapshot)
  .commit({ breakers: new Map(), retryPercents: new Map() });
const pipeline = createPipeline(
  { scope: 'edge.bench', revision: 1, position: 1, snapshot, overlay: new Map() },
  pipelineDeps(),
);
const context: PlaneContext = {
  clock,
  random: Math.random,
  deadlines,
  samples,
  onAccess: undefined,
  log: console.error,
  isOverloaded: () => false,
  active: activeView(pipeline, upstreams),
  reusePort: false,
  isFull: () => false,
  isDraining: false,
  exchanges: 0,
  mirrors: 0,
  rush: new Rush(),
};
const [listener] = snapshot.listeners;
if (!listener) throw new Error('no listener');
const home = {
  plan: portPlanOf([listener]),
  isClosing: false,
  isRetired: false,
  remember: <Connection>(connection: Connection) => connection,
  forget: () => {},
};
const peer = {
  address: '127.0.0.1',
  principal: undefined,
  scheme: 'http' as const,
  localPort: 1,
  localAddress: '127.0.0.1',
  serverName: undefined,
};
const connections = Array.from(
  { length: 64 },
  () => new DownstreamConnection(new FakeSocket() as unknown as net.Socket, home, peer, context),
);
const input = Buffer.alloc(65_536);

/** Requests, and then answers, that one turn of the event loop finds. */
const PER_TURN = 32;
let turnEnds: (() => void)[] = [];
globalThis.setImmediate = ((act: () => void) => turnEnds.push(act)) as never;
const endTurn = (): void => {
  const acts = turnEnds;
  turnEnds = [];
  for (const act of acts) act();
};

const rounds = Number(process.argv[3] ?? 20);
const perRound = 20_000;
let best = Number.POSITIVE_INFINITY;
for (let round = 0; round < rounds; round++) {
  const before = process.cpuUsage();
  for (let i = 0; i < perRound; i += PER_TURN) {
    for (let j = i; j < i + PER_TURN; j++) {
      REQUEST.copy(input);
      connections[j & 63]?.onBytes(input, REQUEST.length);
      for (const connect of pendingConnects.splice(0)) connect();
    }
    endTurn();
    for (const answer of pendingAnswers.splice(0)) answer();
    endTurn();
  }
  deadlines.tick();
  const { user, system } = process.cpuUsage(before);
  best = Math.min(best, (user + system) / perRound);
}
console.log(JSON.stringify({ cpuUsPerRequest: Number(best.toFixed(2)), bytes: written }));
process.exit(0);
