// Policies about connections at TCP and TLS listeners: who gets through to the service, and what is told of those who do not.
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import type { AuthorizationPlan, Listener } from '#engine/model/snapshot.ts';
import { testCertificates } from '../certificates.ts';
import {
  closeAll,
  closing,
  listener,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';

const certificates = testCertificates();
const { pem } = certificates;
beforeAll(() => {
  certificates.authority('ca');
  certificates.issue('queue', 'DNS:*.bibby.com', 'ca');
  certificates.issue('reader', 'URI:spiffe://bibby/ns/default/sa/reader', 'ca');
  certificates.issue('writer', 'URI:spiffe://bibby/ns/default/sa/writer', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

/** Revocations as `weir revoke list` names them. */
let revoked: readonly string[] = [];

const start = async (changes: Partial<Listener>, plan: Partial<AuthorizationPlan>) => {
  revoked = [];
  const server = await rawUpstream((socket, text) => {
    socket.write(`got ${text}`);
    return true;
  });
  const at = listener({
    name: 'queue',
    protocol: 'TCP',
    upstream: 'bibby/catalog',
    authorizations: ['bibby/queue'],
    ...changes,
  });
  const view = viewOf([upstream([server.port], { protocol: 'tcp' })], [at]);
  const authorization: AuthorizationPlan = {
    origin: { resource: 'Authorization/bibby/queue' },
    action: 'ALLOW',
    mode: 'enforce',
    rules: [],
    ...plan,
  };
  const snapshot = { ...view.snapshot, authorizations: { 'bibby/queue': authorization } };
  const lines: AccessEntry[] = [];
  const revocationOf = (principal: string) =>
    revoked.find((target) => target === `sub:${principal}`);
  const running = await startPlane(
    { ...view, snapshot },
    { pipeline: { revocationOf } },
    { onAccess: (line) => lines.push(line) },
  );
  const renew = () => running.plane.activate({ ...view, snapshot, position: 2 });
  return { ...running, server, lines, renew };
};

it('whoever is denied is closed before the service hears of him, and it is told by which rule', async () => {
  const rules = [{ to: [{ ports: ['1'] }] }, { from: [{ ipBlocks: ['127.0.0.0/8'] }] }];
  const { plane, port, server, lines } = await start({}, { action: 'DENY', rules });
  const caller = await rawCaller(port);
  caller.send('hello');
  expect(await caller.untilClosed()).toBe('');
  await vi.waitFor(() => expect(lines).toHaveLength(1));
  expect(lines[0]).toMatchObject({
    status: 403,
    flag: 'UAEX',
    revision: 1,
    notes: { policy: 'Authorization/bibby/queue', rule: '1' },
  });
  expect(server.connections).toBe(0);
  await plane.close();
  for await (const { denials } of plane.samples())
    expect(denials).toEqual([{ policy: 'Authorization/bibby/queue', rule: '1', requests: 1 }]);
});

it('a policy that only watches lets everybody through, and says so', async () => {
  const watching = { action: 'DENY' as const, mode: 'audit' as const, rules: [{}] };
  const { plane, port, lines } = await start({}, watching);
  const caller = await rawCaller(port);
  caller.send('hello');
  expect(await caller.until('hello')).toBe('got hello');
  caller.socket.end();
  await vi.waitFor(() => expect(lines).toHaveLength(1));
  expect(lines[0]).toMatchObject({
    status: 200,
    notes: { audit: 'Authorization/bibby/queue rule 0 would deny' },
  });
  await plane.close();
  const audits = await Array.fromAsync(plane.samples(), (facts) => facts.audits ?? []);
  expect(audits.flat()).toEqual([
    { says: 'Authorization/bibby/queue rule 0 would deny', requests: 1 },
  ]);
});

it.each([
  ['192.0.2.7', '203.0.113.1', ''],
  ['192.0.2.8', '203.0.113.1', 'got hello'],
  ['192.0.2.8', '203.0.113.2', ''],
])('a proxy in front says who calls whom: %s calls %s', async (from, to, answer) => {
  const rules = [
    { from: [{ ipBlocks: ['192.0.2.7'] }] },
    { when: [{ key: 'destination.ip', values: ['203.0.113.2'] }] },
  ];
  const { port } = await start({ proxyProtocol: true }, { action: 'DENY', rules });
  const caller = await rawCaller(port);
  caller.send(`PROXY TCP4 ${from} ${to} 40000 443\r\nhello`);
  if (answer === '') expect(await caller.untilClosed()).toBe('');
  else expect(await caller.until('hello')).toBe(answer);
});

/** What it gets back for a `hello`; empty if it is closed. */
const greet = (port: number, options: tls.ConnectionOptions): Promise<string> =>
  new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), ...options });
    socket.once('secureConnect', () => socket.write('hello'));
    socket.once('data', (chunk) => resolve(String(chunk)));
    socket.once('close', () => resolve(''));
    socket.on('error', () => {});
    closing(() => void socket.destroy());
  });
const servername = 'mq.bibby.com';
const as = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) });

const decrypted = () => ({
  protocol: 'TLS' as const,
  tls: {
    mode: 'Terminate' as const,
    certificates: [{ certificate: pem('queue.crt'), key: pem('queue.key') }],
    minVersion: '1.2' as const,
    alpn: [],
    clientCertificate: { mode: 'optional' as const, ca: pem('ca.crt') },
  },
});

it('certificates and server names decide where TLS ends', async () => {
  const rules = [
    {
      from: [{ principals: ['bibby/ns/default/sa/reader'] }],
      when: [{ key: 'connection.sni', notValues: ['back.bibby.com'] }],
    },
  ];
  const { port } = await start(decrypted(), { rules });
  expect(await greet(port, { servername, ...as('reader') })).toBe('got hello');
  expect(await greet(port, { servername, ...as('writer') })).toBe('');
  expect(await greet(port, { servername })).toBe('');
  expect(await greet(port, { servername: 'back.bibby.com', ...as('reader') })).toBe('');
});

it('a revoked certificate opens no connection, and what it has open is cut', async () => {
  const { port, lines, renew } = await start(decrypted(), { rules: [{}] });
  const open = (name: string) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: pem('ca.crt'),
      servername,
      ...as(name),
    });
    const seen = { text: '', closed: false };
    socket.on('data', (chunk) => (seen.text += String(chunk)));
    socket.on('close', () => (seen.closed = true));
    socket.on('error', () => {});
    closing(() => void socket.destroy());
    socket.write('hello');
    return { socket, seen };
  };
  const reader = open('reader');
  const writer = open('writer');
  await vi.waitFor(() => expect(reader.seen.text + writer.seen.text).toHaveLength(18));
  revoked = ['sub:spiffe://bibby/ns/default/sa/reader'];
  await renew();
  await vi.waitFor(() => expect(reader.seen.closed).toBe(true));
  writer.socket.write('again');
  await vi.waitFor(() => expect(writer.seen.text).toBe('got hellogot again'));
  expect(await greet(port, { servername, ...as('reader') })).toBe('');
  await vi.waitFor(() => expect(lines).toHaveLength(2));
  expect(lines[1]).toMatchObject({
    status: 403,
    notes: { policy: 'sub:spiffe://bibby/ns/default/sa/reader' },
  });
});
