// What the data plane suite needs around a plane: documents' worth of snapshot in a few words, upstreams that tell what they got,
// and a caller that says exactly what it is told to.
import http from 'node:http';
import type net from 'node:net';
import type { ForwardAction, Listener, Rule, Snapshot, Upstream } from '#engine/model/snapshot.ts';
import type { DataPlane, PlaneView } from '#engine/ports/data-plane.ts';

export interface PlaneUnderTest {
  readonly plane: DataPlane;
  /** Where the policy port can be reached. */
  portOf(policyPort: number): number;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** What an upstream was asked. */
export interface Seen {
  readonly server: string;
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface EchoServer {
  readonly port: number;
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** Answers with what it was asked, as JSON; `/status/503` and `/slow` do what they say, `/worth/3` has `x-worth: 3`. */
export const echoServer = async (name: string): Promise<EchoServer> => {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { server: name, method, url, headers, body };
      seen.push(one);
      const status = Number(/\/status\/(\d+)/.exec(url)?.[1] ?? 200);
      setTimeout(
        () => {
          const worth = /\/worth\/([^/]+)/.exec(url)?.[1];
          response.writeHead(status, {
            'content-type': 'application/json',
            'x-server': name,
            ...(worth !== undefined && { 'x-worth': worth }),
          });
          response.end(JSON.stringify(one));
        },
        url.includes('/slow') ? 1000 : 0,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
};

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export const call = (port: number, options: Call = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: '127.0.0.1',
        port,
        agent: false,
        method: options.method ?? 'GET',
        path: options.path ?? '/',
        headers: { host: options.host ?? 'api.bibby.com', ...options.headers },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });

export const seenIn = (answer: Answer): Seen => JSON.parse(answer.text) as Seen;

export const upstreamAt = (
  id: string,
  ports: readonly number[],
  changes: Partial<Upstream> = {},
): Upstream => {
  const [service = '', version = ''] = id.split('@');
  return {
    id,
    service,
    version,
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
  };
};

export const forwardTo = (
  upstream: string,
  changes: Partial<ForwardAction> = {},
): ForwardAction => ({
  type: 'forward',
  backends: [{ weight: 1, upstream }],
  timeoutMs: 5000,
  ...changes,
});

let ruleCount = 0;

export const ruleFor = (
  changes: Partial<Omit<Rule, 'match'>> & Pick<Rule, 'action'>,
  match: Partial<Rule['match']> = {},
): Rule => ({
  id: `bibby/route/${ruleCount++}`,
  origin: { resource: 'Route/bibby/route' },
  match: {
    path: { type: 'segmentPrefix', value: '/' },
    methods: [],
    headers: [],
    query: [],
    cookies: [],
    ...match,
  },
  authentications: [],
  authorizations: [],
  quotas: [],
  ...changes,
});

export const listenerAt = (port: number, name = 'http'): Listener => ({
  name,
  address: '127.0.0.1',
  port,
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
    maxConnections: 1000,
  },
  path: { normalization: 'MergeSlashes', encodedSlash: 'reject' },
});

/** Rules of one host in their final order. */
export const snapshotOf = (
  parts: Partial<Omit<Snapshot, 'upstreams'>> & {
    readonly rules: readonly Rule[];
    readonly upstreams: readonly Upstream[];
    readonly listeners: readonly Listener[];
  },
): Snapshot => ({
  hosts: [{ type: 'any', host: '', listeners: [], rules: parts.rules.map((_, i) => i) }],
  splits: {},
  authentications: {},
  authorizations: {},
  quotas: {},
  consumers: [],
  standing: [],
  ...parts,
  upstreams: Object.fromEntries(parts.upstreams.map((each) => [each.id, each])),
});

export const viewOf = (
  snapshot: Snapshot,
  revision: number,
  overlay: PlaneView['overlay'] = new Map(),
): PlaneView => ({
  scope: 'edge.public',
  revision,
  position: revision,
  snapshot,
  overlay,
});
