// The works that proxies are compared by, and what each contender needs to do them.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import * as configs from './proxy-configs.ts';
import type { BenchPolicy } from './proxy-policy.ts';

export interface Work {
  readonly scheme: 'http' | 'https';
  /** For wrk. */
  readonly script?: string;
  readonly weir: Omit<BenchPolicy, 'port' | 'upstreamPort'>;
  /** Absent: it cannot do this work. */
  readonly nginx?: (folder: string, port: number, backend: number) => string;
  readonly haproxy?: (port: number, backend: number) => string;
}

const plain: Pick<Work, 'scheme' | 'nginx' | 'haproxy'> = {
  scheme: 'http',
  nginx: (folder, port, backend) => configs.nginx({ folder, port, backend }),
  haproxy: (port, backend) => configs.haproxy({ port, backend }),
};

const tlsWork = (folder: string): Work => {
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-keyout',
      'tls.key',
      '-out',
      'tls.crt',
    ],
    { cwd: folder, stdio: 'ignore' },
  );
  execFileSync('sh', ['-c', 'cat tls.crt tls.key > tls.pem'], { cwd: folder });
  const files = { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  return {
    scheme: 'https',
    weir: { routes: 1, tls: files },
    nginx: (at, port, backend) => configs.nginx({ folder: at, port, backend, tls: files }),
    haproxy: (port, backend) => configs.haproxy({ port, backend, pem: join(folder, 'tls.pem') }),
  };
};

/** RS256 token, role check, quota per caller, split 90 to 10. */
const chainWork = async (write: (name: string, text: string) => string): Promise<Work> => {
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
  write('jwt.key', await exportPKCS8(keys.privateKey));
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'bench', alg: 'RS256' };
  return {
    scheme: 'http',
    script: `wrk.headers["Authorization"] = "Bearer ${token}"\n`,
    weir: { routes: 1, jwk: jwk as Record<string, unknown> },
    haproxy: (port, backend) => configs.haproxyChain({ port, backend, publicKey }),
  };
};

export const worksIn = async (
  folder: string,
  write: (name: string, text: string) => string,
): Promise<Readonly<Record<string, Work>>> => ({
  get: { ...plain, weir: { routes: 1 } },
  post10k: { ...plain, weir: { routes: 1 }, script: configs.postScript },
  routes1000: { ...plain, weir: { routes: 1000 } },
  tls: tlsWork(folder),
  chain: await chainWork(write),
});
