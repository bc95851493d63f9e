// Policies about connections, from the document to the socket: who shows which certificate, asks for which name, comes from where.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dev, startDev } from '#services/dev/dev.ts';
import { testCertificates } from '#test/adapters/dataplane-node/certificates.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';

const certificates = testCertificates();
const { pem } = certificates;
let app: EchoServer;
let dev: Dev;
let port: number;

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const found = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  return found;
};

const resource = (kind: string, name: string, spec: object) =>
  JSON.stringify({ apiVersion: 'weir.dev/v1', kind, metadata: { name }, spec });
const path = (name: string) => [{ operation: { paths: [`/${name}`] } }];
const when = (key: string, ...values: string[]) => [{ key, values }];
const library = 'cluster.local/ns/bibby/sa/library-service';

const policy = (): string =>
  [
    resource('Gateway', 'public', {
      listeners: [
        {
          name: 'web',
          port: 8443,
          protocol: 'HTTPS',
          tls: {
            certificates: [{ certificate: pem('web.crt'), key: pem('web.key') }],
            clientCertificate: { mode: 'optional', ca: pem('ca.crt') },
          },
        },
      ],
    }),
    resource('Service', 'app', { port: app.port, endpoints: [{ address: '127.0.0.1' }] }),
    resource('Route', 'all', {
      parentRefs: [{ name: 'public' }],
      rules: [{ backends: [{ service: 'app' }] }],
    }),
    resource('Authorization', 'allowed', {
      targetRefs: [{ kind: 'Gateway', name: 'public' }],
      rules: [
        { to: path('library'), from: [{ source: { principals: [library] } }] },
        { to: path('desk'), when: when('connection.sni', 'Desk.bibby.com') },
        { to: path('any-name'), when: when('connection.sni', '*') },
        { to: path('here'), when: when('destination.ip', '127.0.0.0/8') },
        { to: path('elsewhere'), when: when('destination.ip', '10.0.0.0/8') },
        { to: path('open') },
      ],
    }),
    resource('Authorization', 'denied', {
      targetRefs: [{ kind: 'Gateway', name: 'public' }],
      action: 'DENY',
      rules: [
        { to: path('open'), when: when('source.namespace', 'rogue') },
        { to: path('open'), when: when('connection.sni', 'back.bibby.com') },
      ],
    }),
  ].join('\n---\n');

beforeAll(async () => {
  certificates.authority('ca');
  certificates.issue('web', 'DNS:*.bibby.com', 'ca');
  certificates.issue('library', `URI:spiffe://${library}`, 'ca');
  certificates.issue('rogue', 'URI:spiffe://cluster.local/ns/rogue/sa/library-service', 'ca');
  app = await startEchoServer();
  port = await freePort();
  dev = await startDev({
    adminPort: 0,
    listenPorts: new Map([[8443, port]]),
    files: () => undefined,
    log: () => {},
  });
  const { diagnostics } = await dev.apply([{ file: 'policy.yaml', text: policy() }]);
  expect(diagnostics).toEqual([]);
});
afterAll(async () => {
  await dev?.close();
  await app?.close();
  certificates.close();
});

interface Caller {
  /** Whose certificate it shows. */
  readonly as?: string;
  readonly servername?: string;
}

const ask = (url: string, { as, ...options }: Caller): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request(
      {
        host: '127.0.0.1',
        port,
        path: url,
        ca: pem('ca.crt'),
        agent: false,
        servername: 'desk.bibby.com',
        checkServerIdentity: () => undefined,
        ...(as !== undefined && { cert: pem(`${as}.crt`), key: pem(`${as}.key`) }),
        ...options,
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
      },
    )
      .on('error', reject)
      .end();
  });

describe('a connection is judged by', () => {
  it.each<[string, string, Caller, number]>([
    ['the certificate of its caller', '/library', { as: 'library' }, 200],
    ['the certificate of another caller', '/library', { as: 'rogue' }, 403],
    ['no certificate', '/library', {}, 403],
    ['the namespace of its caller', '/open', { as: 'rogue' }, 403],
    ['another namespace', '/open', { as: 'library' }, 200],
    ['the name that it asks for', '/desk', {}, 200],
    ['the name in other letters', '/desk', { servername: 'DESK.bibby.com' }, 200],
    ['another name', '/desk', { servername: 'web.bibby.com' }, 403],
    ['a name that is denied', '/open', { servername: 'back.bibby.com' }, 403],
    ['no name', '/any-name', { servername: '' }, 403],
    ['where it was made to', '/here', {}, 200],
    ['where it was not made to', '/elsewhere', {}, 403],
  ])('%s: %s %j', async (_, url, caller, status) => {
    expect(await ask(url, caller)).toBe(status);
  });
});
