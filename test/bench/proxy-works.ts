// The works that proxies are compared by, and what each contender needs to do them.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import * as configs from './proxy-configs.ts';
import { envoy } from './proxy-envoy.ts';
import type { Generator } from './proxy-load.ts';
import type { BenchPolicy } from './proxy-policy.ts';

/** Ports of the proxy and of what is behind it. */
export interface Place {
  readonly folder: string;
  readonly port: number;
  readonly backend: number;
}

export interface Work {
  readonly scheme: 'http' | 'https';
  readonly generator: Generator;
  /** Default 64. */
  readonly connections?: number;
  /** Default nginx with a short JSON. */
  readonly backend?: 'backend-grpc.ts' | 'backend-web-socket.ts';
  /** The same load without a proxy is a contender, too. */
  readonly hasDirect?: boolean;
  readonly weir: Omit<BenchPolicy, 'port' | 'upstreamPort'>;
  /** Absent: it cannot do this work. */
  readonly nginx?: (place: Place) => string;
  readonly haproxy?: (place: Place) => string;
  readonly envoy?: (place: Place) => string;
}

type Write = (name: string, text: string) => string;

const WRK: Generator = { type: 'wrk' };

const plain: Work = {
  scheme: 'http',
  generator: WRK,
  weir: { routes: 1 },
  nginx: configs.nginx,
  haproxy: configs.haproxy,
  envoy,
};

const MORE_ROUTES = 999;

const manyRoutes = (write: Write): Work => {
  const map = write('routes.map', configs.haproxyMap(MORE_ROUTES));
  return {
    ...plain,
    weir: { routes: MORE_ROUTES + 1 },
    nginx: (place) => configs.nginx({ ...place, moreRoutes: MORE_ROUTES }),
    haproxy: (place) => configs.haproxy({ ...place, map }),
    envoy: (place) => envoy({ ...place, moreRoutes: MORE_ROUTES }),
  };
};

const makeCertificate = (folder: string): void => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const out = ['-keyout', 'tls.key', '-out', 'tls.crt'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...key, '-days', '2', '-subj', '/CN=localhost', ...out],
    {
      cwd: folder,
      stdio: 'ignore',
    },
  );
  execFileSync('sh', ['-c', 'cat tls.crt tls.key > tls.pem'], { cwd: folder });
};

const tlsWork = (folder: string, http2: boolean): Work => {
  const [certificateFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const tls = { certificateFile, keyFile, pem: join(folder, 'tls.pem'), http2 };
  const alpn = http2 ? (['h2', 'http/1.1'] as const) : (['http/1.1'] as const);
  return {
    ...plain,
    scheme: 'https',
    ...(http2 && { generator: { type: 'h2load', streams: 8, arguments: [] }, connections: 16 }),
    weir: { routes: 1, tls: { certificateFile, keyFile }, alpn },
    nginx: (place) => configs.nginx({ ...place, tls }),
    haproxy: (place) => configs.haproxy({ ...place, tls }),
    envoy: (place) => envoy({ ...place, tls: { certificateFile, keyFile, alpn } }),
  };
};

/** RS256 token, role check, quota per caller, split 90 to 10. */
const chainWork = async (write: Write): Promise<Work> => {
  const keys = await generateKeyPair('RS256', { extractable: true });
  const token = await new SignJWT({ role: 'reader' })
    .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
    .setIssuer(configs.ISSUER)
    .setAudience('bibby')
    .setSubject('alice')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(keys.privateKey);
  const publicKey = write('jwt.pem', await exportSPKI(keys.publicKey));
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'bench', alg: 'RS256' };
  const script = write('chain.lua', `wrk.headers["Authorization"] = "Bearer ${token}"\n`);
  return {
    scheme: 'http',
    generator: { type: 'wrk', script },
    weir: { routes: 1, jwk: jwk as Record<string, unknown> },
    haproxy: (place) => configs.haproxyChain({ ...place, publicKey }),
    envoy: (place) => envoy({ ...place, jwks: JSON.stringify({ keys: [jwk] }) }),
  };
};

const grpcWork = (write: Write): Work => {
  const message = '{"id":1}';
  const call = write('call.grpc', `\0\0\0\0${String.fromCharCode(message.length)}${message}`);
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  return {
    scheme: 'http',
    generator: { type: 'h2load', streams: 8, arguments: ['-d', call, ...headers] },
    connections: 16,
    backend: 'backend-grpc.ts',
    weir: { routes: 1, upstreamProtocol: 'grpc' },
    nginx: (place) => configs.nginx({ ...place, grpc: true }),
    haproxy: (place) => configs.haproxy({ ...place, grpc: true }),
    envoy: (place) => envoy({ ...place, upstreamHttp2: true }),
  };
};

const webSocketWork: Work = {
  ...plain,
  generator: { type: 'webSocket' },
  backend: 'backend-web-socket.ts',
  nginx: (place) => configs.nginx({ ...place, webSocket: true }),
  envoy: (place) => envoy({ ...place, webSocket: true }),
};

/** Rate 0: half of what this proxy can do. */
const steadyWork = (rate: number): Work => ({
  ...plain,
  generator: { type: 'steady', rate },
  hasDirect: true,
});

/** By the name that `--only` takes. */
export const worksIn = async (
  folder: string,
  write: Write,
): Promise<Readonly<Record<string, Work>>> => {
  makeCertificate(folder);
  const post = write('post.lua', configs.postScript);
  return {
    plain,
    post10k: { ...plain, generator: { type: 'wrk', script: post } },
    routes1000: manyRoutes(write),
    connections1000: { ...plain, connections: 1000 },
    tls: tlsWork(folder, false),
    chain: await chainWork(write),
    h2: tlsWork(folder, true),
    grpc: grpcWork(write),
    webSocket: webSocketWork,
    steady2000: steadyWork(2000),
    halfLoad: steadyWork(0),
  };
};
