// Policies that ask other services, from the document to the socket: compiled, pushed, enforced, with real services.
import { once } from 'node:events';
import { createServer, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Dev, startDev } from '#services/dev/dev.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';

let app: EchoServer;
let dev: Dev;
let service: Server;
let servicePort: number;
let port: number;
/** What the other service does; the tests say it. */
let answer: RequestListener;
let asked: { method: string; headers: Record<string, unknown>; body: string }[] = [];

const listen = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const freePort = async (): Promise<number> => {
  const probe = createServer();
  const found = await listen(probe);
  probe.close();
  await once(probe, 'close');
  return found;
};

const policy = (): string => `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, port: 8080, protocol: HTTP }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: app }
spec: { port: ${app.port}, endpoints: [{ address: 127.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: all }
spec:
  parentRefs: [{ name: public }]
  rules:
    - { name: opaque, matches: [{ path: { prefix: /opaque } }], backends: [{ service: app }] }
    - { name: forward, matches: [{ path: { prefix: /forward } }], backends: [{ service: app }] }
    - { name: custom, matches: [{ path: { prefix: /custom } }], backends: [{ service: app }] }
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: opaque }
spec:
  targetRefs: [{ kind: Route, name: all, sectionName: opaque }]
  methods:
    - introspection:
        endpoint: http://127.0.0.1:${servicePort}/introspect
        clientId: weir
        clientSecretFile: files/introspection
        cache: 60s
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: forward }
spec:
  targetRefs: [{ kind: Route, name: all, sectionName: forward }]
  methods:
    - forward:
        url: http://127.0.0.1:${servicePort}/auth
        timeout: 300ms
        responseHeaders: [X-Auth-Request-User]
        principalHeader: X-Auth-Request-User
---
apiVersion: weir.dev/v1
kind: Authorization
metadata: { name: custom }
spec:
  targetRefs: [{ kind: Route, name: all, sectionName: custom }]
  action: CUSTOM
  provider: { url: 'http://127.0.0.1:${servicePort}/check', timeout: 300ms }
  rules: [{ to: [{ operation: { methods: [DELETE] } }] }]
`;

beforeAll(async () => {
  app = await startEchoServer();
  service = createServer((message, response) => {
    let body = '';
    message.on('data', (chunk) => {
      body += String(chunk);
    });
    message.on('end', () => {
      asked.push({ method: message.method ?? '', headers: message.headers, body });
      answer(message, response);
    });
  });
  servicePort = await listen(service);
  port = await freePort();
  dev = await startDev({
    adminPort: 0,
    listenPorts: new Map([[8080, port]]),
    files: (path) => (path === 'files/introspection' ? 'secret' : undefined),
    log: () => {},
  });
  const { diagnostics } = await dev.apply([{ file: 'policy.yaml', text: policy() }]);
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
});
afterAll(async () => {
  await dev?.close();
  service.closeAllConnections();
  service.close();
  await app.close();
});
beforeEach(() => {
  asked = [];
});

const call = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
    (resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += String(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      });
      sent.once('error', reject);
      sent.end();
    },
  );

describe('a token that only its issuer understands', () => {
  it('is asked about once, and the service hears who is calling', async () => {
    answer = (_message, response) =>
      response.end(JSON.stringify({ active: true, sub: 'alice', roles: ['reader'] }));
    const headers = { authorization: 'Bearer opaque-1', 'x-user-id': 'mallory' };
    for (let i = 0; i < 3; i += 1) {
      const { status, body } = await call('/opaque', headers);
      expect(status).toBe(200);
      expect(body).toContain('"x-user-id":"alice"');
      expect(body).not.toContain('mallory');
    }
    expect(asked.map(({ method, body }) => [method, body])).toEqual([
      ['POST', 'token=opaque-1&token_type_hint=access_token'],
    ]);
    expect(asked[0]?.headers['authorization']).toBe(`Basic ${btoa('weir:secret')}`);
  });

  it('is refused when its issuer says no, and put off while he is out of order', async () => {
    answer = (_message, response) => response.end('{"active":false}');
    const refused = await call('/opaque', { authorization: 'Bearer opaque-2' });
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('invalid_token');
    answer = (_message, response) => response.writeHead(500).end();
    expect((await call('/opaque', { authorization: 'Bearer opaque-3' })).status).toBe(503);
  });
});

describe('a service that says who is calling', () => {
  it('names him to the application, and nobody else does', async () => {
    answer = (_message, response) =>
      response.writeHead(200, { 'x-auth-request-user': 'alice', 'set-cookie': 's=2' }).end();
    const spoofed = { 'x-auth-request-user': 'mallory', X_Auth_Request_User: 'mallory' };
    const { status, headers, body } = await call('/forward/x?y=1', spoofed);
    expect(status).toBe(200);
    expect(headers['set-cookie']).toEqual(['s=2']);
    expect(body).toContain('"x-auth-request-user":"alice"');
    expect(body).not.toContain('mallory');
    expect(asked[0]?.headers).toMatchObject({
      'x-forwarded-uri': '/forward/x?y=1',
      'x-forwarded-for': '127.0.0.1',
    });
  });

  it('sends him to sign in', async () => {
    answer = (_message, response) =>
      response
        .writeHead(302, { location: 'https://id.example/login', 'set-cookie': ['a=1', 'b=2'] })
        .end();
    const { status, headers } = await call('/forward');
    expect(status).toBe(302);
    expect(headers['location']).toBe('https://id.example/login');
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  it('shuts the door while it says nothing', async () => {
    answer = () => {};
    const { status, body } = await call('/forward');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ reason: 'the authorization service gives no answer' });
  });
});

describe('a service that says what is allowed', () => {
  it('is asked only about what the rules say', async () => {
    answer = (_message, response) =>
      response.writeHead(403, { 'content-type': 'text/plain' }).end('overdue books');
    expect((await call('/custom')).status).toBe(200);
    expect(asked).toEqual([]);
    const { status, body, headers } = await call('/custom', {}, 'DELETE');
    expect([status, body, headers['content-type']]).toEqual([403, 'overdue books', 'text/plain']);
    answer = (_message, response) => response.writeHead(204).end();
    expect((await call('/custom', {}, 'DELETE')).status).toBe(200);
  });
});
