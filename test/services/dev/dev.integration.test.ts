import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Dev, startDev } from '#services/dev/dev.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((thing) => thing.close()));
});

const listen = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return (server.address() as AddressInfo).port;
};

const start = async (): Promise<{ dev: Dev; port: number }> => {
  const probe = createServer();
  const port = await listen(probe);
  open.pop();
  probe.close();
  await once(probe, 'close');
  const dev = await startDev({
    adminPort: 0,
    listenPorts: new Map([[8080, port]]),
    files: () => undefined,
    log: () => {},
  });
  open.push(dev);
  return { dev, port };
};

const gateway = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, port: 8080, protocol: HTTP }] }
`;
const route = (body: string) => `apiVersion: weir.dev/v1
kind: Route
metadata: { name: hello }
spec:
  parentRefs: [{ name: public }]
  rules:
    - name: all
      matches: [{ path: { prefix: /hello } }]
      respond: { status: 200, body: ${body} }
`;
const ask = async (port: number, path = '/hello') => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()];
};

describe('weir dev', () => {
  it('does not complain about keys that have come meanwhile', async () => {
    const { dev } = await start();
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
    const keys = [{ kty: 'OKP', crv: 'Ed25519', x, kid: 'a', alg: 'EdDSA', use: 'sig' }];
    const issuer = await listen(
      createServer((_, response) => response.end(JSON.stringify({ keys }))),
    );
    const text = `apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: who }
spec:
  targetRefs: [{ kind: Route, name: hello }]
  methods:
    - jwt:
        issuers: [{ issuer: a, audiences: [a], jwksUri: "http://127.0.0.1:${issuer}/keys" }]
`;
    const files = [gateway, route('one'), text].map((each, at) => ({ file: `${at}`, text: each }));
    const { diagnostics, changes } = await dev.apply(files);
    expect(diagnostics).toEqual([]);
    expect(changes.map(({ change }) => change)).toEqual(['created', 'created', 'created']);
  });

  it('has documents in force on an edge when apply resolves, and again after each save', async () => {
    const { dev, port } = await start();
    const gatewayFile = { file: 'gateway.yaml', text: gateway };
    const first = await dev.apply([gatewayFile, { file: 'hello.yaml', text: route('one') }]);
    expect(first.diagnostics).toEqual([]);
    expect(await ask(port)).toEqual([200, 'one']);
    await dev.apply([gatewayFile, { file: 'hello.yaml', text: route('two') }]);
    expect(await ask(port)).toEqual([200, 'two']);
  });

  it('forgets what no document says any more', async () => {
    const { dev, port } = await start();
    const gatewayFile = { file: 'gateway.yaml', text: gateway };
    await dev.apply([gatewayFile, { file: 'hello.yaml', text: route('one') }]);
    const answer = await dev.apply([gatewayFile]);
    expect(answer.changes).toContainEqual({ id: 'Route/default/hello', change: 'deleted' });
    expect((await ask(port))[0]).toBe(404);
  });

  it('keeps the last good state while a document cannot be read', async () => {
    const { dev, port } = await start();
    const gatewayFile = { file: 'gateway.yaml', text: gateway };
    await dev.apply([gatewayFile, { file: 'hello.yaml', text: route('one') }]);
    const answer = await dev.apply([gatewayFile, { file: 'hello.yaml', text: 'kind: [' }]);
    expect(answer.diagnostics[0]).toMatchObject({
      code: 'ERR_YAML_SYNTAX',
      location: { file: 'hello.yaml' },
    });
    expect(await ask(port)).toEqual([200, 'one']);
  });

  it('answers the command with the token that it prints', async () => {
    const { dev } = await start();
    const authorization = `Bearer ${dev.token}`;
    await dev.apply([{ file: 'gateway.yaml', text: gateway }]);
    const response = await fetch(`${dev.url}/v1/fleet`, { headers: { authorization } });
    expect(await response.json()).toMatchObject({ leader: { instance: 'dev' } });
    expect((await fetch(`${dev.url}/v1/fleet`)).status).toBe(401);
  });
});
