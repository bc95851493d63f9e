// A person with a browser, a real OpenID provider, and a real proxy: discovery, compile, sign-in, use, sign-out, revocation.
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNodePlane, type NodePlane } from '#adapters/dataplane-node/plane.ts';
import { createKeys } from '#adapters/keys-http/keys.ts';
import { createWeb } from '#adapters/web-http/web.ts';
import { compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { planeView } from '#test/support/snapshot.ts';

const SECRET = 'the-secret-of-the-client-at-the-issuer';
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const web = createWeb();
const keys = createKeys({ web, clock });
let app: EchoServer;
let issuer: Server;
let issuerUrl = '';
let plane: NodePlane;
let edge = '';
let decide: (...decisions: readonly DecisionBody[]) => Promise<void>;

interface Page {
  readonly url: string;
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

const first = (value: string | string[] | undefined): string | undefined => [value].flat()[0];

/** Cookies by origin: enough of a browser. (`fetch` says of itself that it opens no page.) */
class Person {
  readonly #jars = new Map<string, Map<string, string>>();

  async go(url: string, form?: URLSearchParams): Promise<Page> {
    const { origin } = new URL(url);
    const jar = this.#jars.get(origin) ?? new Map<string, string>();
    this.#jars.set(origin, jar);
    const { statusCode, headers, body } = await request(url, {
      method: form ? 'POST' : 'GET',
      headers: {
        accept: 'text/html',
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(form && { body: form.toString() }),
    });
    for (const line of [headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    const location = first(headers['location']);
    return { url, status: statusCode, location, text: await body.text() };
  }

  /** Follows redirects and fills in the provider's two forms. */
  async signIn(url: string): Promise<Page> {
    let page = await this.go(url);
    for (let step = 0; step < 20; step += 1) {
      if (page.location !== undefined) {
        page = await this.go(new URL(page.location, page.url).href);
        continue;
      }
      const action = /<form[^>]*action="([^"]+)"/.exec(page.text)?.[1];
      if (action === undefined) return page;
      const prompt = /name="prompt" value="(\w+)"/.exec(page.text)?.[1] ?? '';
      const form = new URLSearchParams({ prompt, login: 'alice', password: 'any' });
      page = await this.go(new URL(action, page.url).href, form);
    }
    throw new Error('goes round in circles');
  }
}

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

const policy = (): string => `
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, address: 127.0.0.1, port: 8080 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: desk }
spec: { endpoints: [{ address: 127.0.0.1, port: ${app.port} }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: desk }
spec:
  parentRefs: [{ name: public }]
  rules: [{ matches: [{ path: { prefix: /desk } }], backends: [{ service: desk }] }]
---
apiVersion: weir.dev/v1
kind: Authentication
metadata: { name: people }
spec:
  targetRefs: [{ kind: Route, name: desk }]
  methods: [{ oidc: { issuer: "${issuerUrl}", clientId: weir, clientSecretFile: secret } }]
`;

beforeAll(async () => {
  app = await startEchoServer();
  let serve: ReturnType<Provider['callback']> | undefined;
  issuer = createServer((incoming, response) => void serve?.(incoming, response));
  issuerUrl = `http://127.0.0.1:${await listening(issuer)}`;
  plane = createNodePlane({
    clock,
    random: Math.random,
    reporter: 'source',
    agent: 'edge-1',
    listenPorts: new Map([[8080, 0]]),
    log: () => {},
    pipeline: (view, previous) => createPipeline(view, deps, previous),
  });
  const deps = {
    ...pipelineDeps(),
    clock,
    web,
    files: (path: string) => (path === 'secret' ? SECRET : undefined),
    unguessable: () => randomBytes(32).toString('base64url'),
  };
  // The proxy's port must be known before the provider is told where people come back to.
  await plane.activate(planeView(compiled(() => undefined)));
  edge = `http://127.0.0.1:${plane.addresses()[0]?.port ?? 0}`;
  const provider = new Provider(issuerUrl, {
    clients: [
      {
        client_id: 'weir',
        client_secret: SECRET,
        redirect_uris: [`${edge}/oauth2/callback`],
        post_logout_redirect_uris: [`${edge}/`],
      },
    ],
    pkce: { required: () => true },
    cookies: { keys: ['provider'] },
  });
  serve = provider.callback();
  await keys.follow([{ type: 'discovery', issuer: issuerUrl }]);
  const snapshot = compiled((address) => keys.current(address));
  decide = (...decisions) => plane.activate(planeView(snapshot, { revision: 2, decisions }));
  await decide();
});

afterAll(async () => {
  keys.close();
  await plane?.close();
  await app?.close();
  issuer?.closeAllConnections();
  issuer?.close();
  await web.close();
});

const compiled = (
  from: (address: Parameters<typeof keys.current>[0]) => ReturnType<typeof keys.current>,
) => {
  const { documents } = readDocuments([{ file: 'a.yaml', text: policy() }]);
  const outcome = compile({
    sources: new Map(documents.map(({ id, source }) => [id, source])),
    standing: new Map(),
    workloads: [],
    capabilities: () => plane.capabilities,
    files: () => undefined,
    keys: from,
  });
  const snapshot = outcome.snapshots.get('edge.public');
  if (!snapshot) throw new Error(JSON.stringify(outcome.diagnostics));
  return snapshot;
};

it('signs a person in, knows her, and signs her out', async () => {
  const person = new Person();
  const program = await fetch(`${edge}/desk`, { headers: { accept: 'application/json' } });
  expect(program.status).toBe(401);
  const page = await person.signIn(`${edge}/desk/loans?page=2`);
  expect(page.url).toBe(`${edge}/desk/loans?page=2`);
  expect(page.status).toBe(200);
  const seen = (await person.go(`${edge}/desk`)).text;
  expect(seen).toMatch(/x-user-id[^a-z]+alice/i);
  expect(seen).not.toContain('weir-session');
  const out = await person.go(`${edge}/logout`);
  expect(out.location).toContain(`${issuerUrl}/session/end`);
  expect((await person.go(`${edge}/desk`)).status).toBe(302);
});

it('lets a revoked person go at once', async () => {
  const person = new Person();
  expect((await person.signIn(`${edge}/desk`)).status).toBe(200);
  await decide({ type: 'revocation', target: 'sub:alice', expiresMs: Date.now() + 60_000 });
  expect((await person.go(`${edge}/desk`)).status).toBe(401);
  await decide();
  expect((await person.go(`${edge}/desk`)).status).toBe(200);
});

it('refuses a code that another browser was given', async () => {
  const thief = new Person();
  const begun = await thief.go(`${edge}/desk`);
  const state = new URL(begun.location ?? '').searchParams.get('state') ?? '';
  const back = `${edge}/oauth2/callback?${new URLSearchParams({ state, code: 'stolen', iss: issuerUrl }).toString()}`;
  expect((await thief.go(back)).status).toBe(401);
  expect((await new Person().go(back)).status).toBe(400);
});
