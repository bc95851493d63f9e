// A plane with a pipeline of a few lines, raw upstreams and raw callers.
import net from 'node:net';
import {
  createNodePlane,
  type NodePlane,
  type NodePlaneOptions,
} from '#adapters/dataplane-node/plane.ts';
import type {
  ForwardAction,
  Listener,
  ListenerTls,
  Rule,
  Snapshot,
  Upstream,
} from '#engine/model/snapshot.ts';
import type {
  Exchange,
  Forward,
  Outcome,
  Pipeline,
  RequestView,
} from '#engine/pipeline/exchange.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';

export const listener = (changes: Partial<Listener> = {}): Listener => ({
  name: 'http',
  address: '127.0.0.1',
  port: 8080,
  protocol: 'HTTP',
  trustedProxies: [],
  limits: {
    maxHeaderBytes: 61_440,
    maxHeaders: 100,
    maxTargetBytes: 8192,
    headerTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    bodyStallTimeoutMs: 30_000,
    maxRequestsPerConnection: 0,
    maxConnections: 10_000,
  },
  path: { normalization: 'MergeSlashes', encodedSlash: 'reject' },
  ...changes,
});

export const upstream = (ports: readonly number[], changes: Partial<Upstream> = {}): Upstream => ({
  id: 'bibby/catalog',
  service: 'bibby/catalog',
  version: '',
  protocol: 'http',
  endpoints: ports.map((port) => ({ address: '127.0.0.1', port, weight: 1 })),
  loadBalancing: { policy: 'RoundRobin', slowStartMs: 0 },
  pool: {
    maxConnections: 1024,
    connectTimeoutMs: 2000,
    maxPendingRequests: 1024,
    maxRequests: 1024,
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 60_000,
  },
  panicThreshold: 0,
  ...changes,
});

export const rule: Rule = {
  id: 'bibby/catalog/0',
  origin: { resource: 'Route/bibby/catalog' },
  match: {
    path: { type: 'segmentPrefix', value: '/' },
    methods: [],
    headers: [],
    query: [],
    cookies: [],
  },
  action: { type: 'forward', backends: [], timeoutMs: 5000 },
  authentications: [],
  authorizations: [],
  quotas: [],
};

export const viewOf = (
  upstreams: readonly Upstream[],
  listeners: readonly Listener[] = [listener()],
  revision = 1,
): PlaneView => {
  const snapshot: Snapshot = {
    listeners,
    hosts: [],
    rules: [rule],
    splits: {},
    upstreams: Object.fromEntries(upstreams.map((each) => [each.id, each])),
    authentications: {},
    authorizations: {},
    quotas: {},
    consumers: [],
    standing: [],
  };
  return { scope: 'edge.public', revision, position: revision, snapshot, overlay: new Map() };
};

export const exchangeOf = (request: RequestView, requestId: string): Exchange => ({
  request,
  requestId,
  rule,
  principal: undefined,
  consumer: undefined,
  groups: [],
  claims: undefined,
  setHeaders: [],
  removeHeaders: [],
  responseHeaders: [],
  removeResponseHeaders: [],
  notes: undefined,
});

export interface Behaviour {
  readonly action?: Partial<ForwardAction>;
  readonly forward?: Partial<Forward>;
  readonly handle?: (request: RequestView, forward: Forward) => Outcome | Promise<Outcome>;
  readonly pipeline?: Partial<Pipeline>;
}

/** Forwards everything to the first upstream. */
export const simplePipeline = (view: PlaneView, behaviour: Behaviour = {}): Pipeline => ({
  revision: view.revision,
  isProtectedHeader: () => false,
  handle: (request, requestId) => {
    const [first] = Object.values(view.snapshot.upstreams);
    if (!first) throw new Error('no upstream in the view');
    const forward: Forward = {
      type: 'forward',
      exchange: exchangeOf(request, requestId),
      action: { type: 'forward', backends: [], timeoutMs: 5000, ...behaviour.action },
      upstream: first,
      target: request.query === '' ? request.path : `${request.path}?${request.query}`,
      host: undefined,
      hashKey: undefined,
      delayMs: 0,
      mirror: undefined,
      collectResponseBytes: 0,
      ...behaviour.forward,
    };
    return behaviour.handle?.(request, forward) ?? forward;
  },
  respond: () => {},
  wantsBody: () => true,
  transformBody: () => undefined,
  ...behaviour.pipeline,
});

export interface Running {
  readonly plane: NodePlane;
  readonly port: number;
}

const closers: (() => Promise<void> | void)[] = [];

/** Registers something to be closed after the test. */
export const closing = (close: () => Promise<void> | void): void => {
  closers.push(close);
};

export const closeAll = async (): Promise<void> => {
  for (const close of closers.splice(0).reverse()) await close();
};

/** One that ends TLS, and speaks HTTP/1.1 unless told otherwise. */
export const secureListener = (
  certificate: ListenerTls['certificates'][number],
  changes: Partial<ListenerTls> = {},
): Listener =>
  listener({
    protocol: 'HTTPS',
    tls: {
      mode: 'Terminate',
      certificates: [certificate],
      minVersion: '1.2',
      alpn: ['http/1.1'],
      ...changes,
    },
  });

export const startPlane = async (
  view: PlaneView,
  behaviour: Behaviour = {},
  options: Partial<NodePlaneOptions> = {},
): Promise<Running> => {
  const plane = createNodePlane({
    pipeline: (each) => simplePipeline(each, behaviour),
    reporter: 'source',
    listenPorts: new Map(view.snapshot.listeners.map((each) => [each.port, 0])),
    log: (message, error) => {
      throw new Error(message, { cause: error });
    },
    ...options,
  });
  closing(() => plane.close());
  await plane.activate(view);
  return { plane, port: plane.addresses()[0]?.port ?? 0 };
};

export interface RawUpstream {
  readonly port: number;
  /** All bytes received, per connection. */
  readonly received: string[];
  connections: number;
  readonly sockets: Set<net.Socket>;
}

/** Calls `onData` with everything that one connection has sent so far since it last answered `true`. */
export const rawUpstream = async (
  onData: (socket: net.Socket, text: string) => boolean | void,
): Promise<RawUpstream> => {
  const sockets = new Set<net.Socket>();
  const upstreamState: RawUpstream = { port: 0, received: [], connections: 0, sockets };
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const index = upstreamState.connections++;
    sockets.add(socket);
    upstreamState.received[index] = '';
    let text = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      upstreamState.received[index] += chunk.toString('latin1');
      if (onData(socket, text)) text = '';
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(upstreamState, { port: (server.address() as net.AddressInfo).port });
};

/** Answers every complete request head, bodies ignored, with a fixed answer. */
export const fixedUpstream = (answer: string): Promise<RawUpstream> =>
  rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    socket.write(answer, 'latin1');
    return true;
  });

export const ok = (body = 'ok', headers = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;

export interface RawCaller {
  readonly socket: net.Socket;
  text: string;
  closed: boolean;
  send(text: string): void;
  /** Resolves when the text received so far matches. */
  until(pattern: RegExp | string): Promise<string>;
  untilClosed(): Promise<string>;
}

export const rawCaller = async (port: number): Promise<RawCaller> => {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  const checks = new Set<() => void>();
  const caller: RawCaller = {
    socket,
    text: '',
    closed: false,
    send: (text) => {
      socket.write(text, 'latin1');
    },
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found =
            typeof pattern === 'string' ? caller.text.includes(pattern) : pattern.test(caller.text);
          if (found) resolve(caller.text);
          else if (caller.closed) reject(new Error(`closed before ${pattern}: ${caller.text}`));
          if (found || caller.closed) checks.delete(check);
        };
        checks.add(check);
        check();
      }),
    untilClosed: () =>
      new Promise((resolve) => {
        const check = () => {
          if (!caller.closed) return;
          checks.delete(check);
          resolve(caller.text);
        };
        checks.add(check);
        check();
      }),
  };
  const changed = () => {
    for (const check of checks) check();
  };
  socket.on('data', (chunk) => {
    caller.text += chunk.toString('latin1');
    changed();
  });
  const close = () => {
    caller.closed = true;
    changed();
  };
  socket.on('end', close);
  socket.on('close', close);
  socket.on('error', close);
  closing(() => {
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return caller;
};

export const get = (path = '/', headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: api.bibby.com\r\n${headers}\r\n`;
