// An issuer changes its signing key while requests come in: real nats-server, control as its own process, a real edge.
import { readFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import type { ApplyAnswer } from '#engine/model/api.ts';
import { systemTime } from '#services/agent/time.ts';
import { type Edge, startEdge } from '#services/edge/edge.ts';
import {
  type ControlProcess,
  eventually,
  TestInstallation,
} from '#test/services/control/installation.ts';
import { createMemoryLastGood } from '#test/support/agent-fakes.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { startLoad } from '#test/support/load.ts';
import { ISSUER, type KeyPair, keyPair, sign } from '#test/support/tokens.ts';

let place: TestInstallation;
let control: ControlProcess;
let app: EchoServer;
let issuer: Server;
let edge: Edge;
let [one, two]: KeyPair[] = [];
let published: KeyPair[] = [];
let fetched = 0;

const nowS = Math.floor(Date.now() / 1000);
const token = (key: KeyPair | undefined, claims: object = {}): Promise<string> => {
  if (!key) throw new Error('keys are made first');
  return sign(key, { iat: nowS, exp: nowS + 3600, ...claims });
};

const policy = (issuerPort: number): string => `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec: { listeners: [{ name: http, port: 8080, protocol: HTTP }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: library, namespace: bibby }
spec: { port: ${app.port}, endpoints: [{ address: 127.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: library, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules: [{ backends: [{ service: library }] }]
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: readers, namespace: bibby }
spec:
  targetRefs: [{ kind: Gateway, name: public }]
  methods:
    - jwt:
        issuers:
          - { issuer: '${ISSUER}', audiences: [bibby], jwksUri: 'http://127.0.0.1:${issuerPort}/keys' }
`;

beforeAll(async () => {
  place = await TestInstallation.create([{ name: 'edge-1', scope: 'edge.public' }]);
  [one, two] = await Promise.all([keyPair('ES256', 'one'), keyPair('ES256', 'two')]);
  published = [one];
  app = await startEchoServer();
  issuer = createServer((_request, response) => {
    fetched += 1;
    response.end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }));
  });
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  control = await place.control();
  const broker = await place.connect('edge-1');
  edge = await startEdge(
    {
      agent: 'edge-1',
      mesh: 'default',
      gateway: 'public',
      admin: { host: '127.0.0.1', port: 0 },
      listenPorts: new Map([[8080, 0]]),
      drainDelayMs: 0,
    },
    {
      connect: async () => broker,
      verifier: createVerifier(
        JSON.parse(await readFile(place.installation.trustedKeys, 'utf8')) as never,
      ),
      store: createMemoryLastGood(),
      time: systemTime,
      log: () => {},
      incarnation: 'one',
      write: () => {},
    },
  );
});
afterAll(async () => {
  await edge?.close();
  await place?.close();
  issuer?.close();
  await app?.close();
});

const url = (): string => `http://127.0.0.1:${edge.addresses()[0]?.port}/`;

const statusWith = (bearer: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request(url(), { headers: { authorization: `Bearer ${bearer}` } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.once('error', reject);
    sent.end();
  });

it('an issuer changes its key under load: no valid token fails, and new ones are soon taken', async () => {
  await eventually('control is ready', async () => (await fetch(`${control.url}/ready`)).ok);
  const { port } = issuer.address() as AddressInfo;
  const documents = [{ file: 'policy.yaml', text: policy(port) }];
  const { diagnostics } = await place.post<ApplyAnswer>(control.url, '/v1/policy', { documents });
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  const old = await token(one);
  await eventually('the edge lets the token in', async () =>
    edge.addresses().length > 0 ? (await statusWith(old)) === 200 : false,
  );

  // Ever new tokens, so that signatures are looked at and no cache answers for the key.
  const olds = await Promise.all(
    Array.from({ length: 100 }, (_, i) => token(one, { jti: `old-${i}` })),
  );
  let turn = 0;
  const load = startLoad(url(), {
    connections: 4,
    pauseMs: 5,
    headers: () => ({ authorization: `Bearer ${olds[(turn += 1) % olds.length] ?? old}` }),
    check: ({ status }) => (status === 200 ? undefined : `answered ${status}`),
  });
  await eventually('requests flow', () => load.requests > 50);

  const before = fetched;
  if (two) published = [...published, two];
  const fresh = await token(two);
  await eventually('the new key is known', async () => {
    const status = await statusWith(fresh);
    if (status !== 200 && status !== 401) throw new Error(`answered ${status}`);
    return status === 200;
  });
  await eventually('the load has met the new keys', () => load.requests > 100);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(fetched).toBe(before + 1);

  // Nobody is asked again for a key that does not exist, however often it is named.
  const forged = await token(await keyPair('ES256', 'nobody'));
  for (let i = 0; i < 50; i += 1) expect(await statusWith(forged)).toBe(401);
  expect(fetched).toBe(before + 1);
});
