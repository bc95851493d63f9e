// The policies of the demo, compiled and put to the pipeline: what the README promises, request by request.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import type { Outcome, Pipeline } from '#engine/pipeline/exchange.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { type RequestFacts, requestView } from '#test/support/request-view.ts';
import { planeView } from '#test/support/snapshot.ts';
import { type KeyPair, keyPair, sign } from '#test/support/tokens.ts';
import { compileFiles, libraryFleet } from './surroundings.ts';

let key: KeyPair;
let pipeline: Pipeline;
let catalog: Snapshot;

beforeAll(async () => {
  key = await keyPair('EdDSA', 'dev');
  const folder = join(import.meta.dirname, '..', '..', 'policies');
  const { compiled } = compileFiles(
    readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') })),
    { workloads: libraryFleet, capabilities, jwks: JSON.stringify({ keys: [key.jwk] }) },
  );
  const snapshot = compiled.snapshots.get('edge.public');
  const sidecar = compiled.snapshots.get('sidecar.bibby.catalog-v1-0');
  if (!snapshot || !sidecar) throw new Error('no snapshot of the edge, or of the catalog');
  catalog = sidecar;
  pipeline = createPipeline(planeView(snapshot), pipelineDeps());
});

const ask = async (facts: RequestFacts, roles?: readonly string[]): Promise<Outcome> => {
  const headers = roles ? { authorization: `Bearer ${await sign(key, { roles })}` } : {};
  return pipeline.handle(
    requestView({ listener: 'web', ...facts, headers: { ...headers, ...facts.headers } }),
    'r1',
  );
};
const summary = (outcome: Outcome) =>
  outcome.type === 'forward' ? `${outcome.upstream.id} ${outcome.target}` : outcome.status;

describe('the demo', () => {
  it.each([
    ['/catalog/books', 'bibby/catalog-service@v1.0 /books'],
    ['/api/v1/books/book-1', 'bibby/catalog-service@v1.0 /api/v1/books/book-1'],
    ['/library/shelves', 'bibby/library-service /shelves'],
    ['/circulation/checkouts', 'bibby/circulation-service /checkouts'],
    ['/catalogue', 404],
    ['/', 404],
  ])('reads %s without a token', async (url, expected) => {
    for (const host of ['api.bibby.com', 'localhost'])
      expect(summary(await ask({ url, host }))).toBe(expected);
  });

  it('answers no other host', async () => {
    expect(summary(await ask({ url: '/catalog/books', host: 'evil.example' }))).toBe(404);
  });

  it.each([
    ['nobody', undefined, 401],
    ['a reader', ['reader'], 403],
    ['a librarian', ['librarian'], 'bibby/catalog-service@v1.0 /books'],
  ] as const)('lets %s change books or not', async (_, roles, expected) => {
    expect(summary(await ask({ method: 'POST', url: '/catalog/books' }, roles))).toBe(expected);
    const kept = typeof expected === 'string' ? expected.replace(' /', ' /api/v1/') : expected;
    expect(summary(await ask({ method: 'POST', url: '/api/v1/books' }, roles))).toBe(kept);
  });

  it('lets readers borrow', async () => {
    const request = { method: 'POST', url: '/circulation/checkouts' };
    expect(summary(await ask(request))).toBe(401);
    expect(summary(await ask(request, ['reader']))).toBe('bibby/circulation-service /checkouts');
  });

  it('refuses a bad token even where none is needed', async () => {
    const headers = { authorization: 'Bearer no.such.token' };
    expect(summary(await ask({ url: '/catalog/books', headers }))).toBe(401);
  });

  it('tells the service who is calling', async () => {
    const outcome = await ask({ url: '/catalog/whoami' }, ['librarian']);
    expect(summary(outcome)).toBe('bibby/catalog-service@v1.0 /whoami');
    expect(outcome.exchange?.setHeaders).toEqual(
      expect.arrayContaining(['x-user-id', 'alice', 'x-user-roles', 'librarian']),
    );
    expect(outcome.exchange?.responseHeaders.join().toLowerCase()).toContain('ratelimit');
  });

  it('shows the new version to who asks for it', async () => {
    const headers = { 'x-canary': 'true' };
    expect(summary(await ask({ url: '/catalog/books', headers }))).toBe(
      'bibby/catalog-service@v1.1 /books',
    );
  });

  it('answers preflights of its own pages only', async () => {
    const preflight = (origin: string) =>
      ask({
        method: 'OPTIONS',
        url: '/catalog/books',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const good = await preflight('https://app.bibby.com');
    expect(good.exchange?.responseHeaders.map((text) => text.toLowerCase())).toContain(
      'access-control-allow-origin',
    );
    const bad = await preflight('https://evil.example');
    expect(bad.exchange?.responseHeaders.map((text) => text.toLowerCase())).not.toContain(
      'access-control-allow-origin',
    );
  });
});

describe('between services', () => {
  const library = 'spiffe://cluster.local/ns/bibby/sa/library-service';
  const circulation = 'spiffe://cluster.local/ns/bibby/sa/circulation-service';
  const key = 'bibby/library-reads-catalog';
  const book = { url: '/api/v1/books/7', listener: 'inbound' };
  const judge = (mode: 'audit' | 'enforce', facts: RequestFacts) => {
    const plan = catalog.authorizations[key];
    if (!plan) throw new Error('the policy is not in the snapshot');
    const snapshot = { ...catalog, authorizations: { [key]: { ...plan, mode } } };
    return createPipeline(planeView(snapshot), pipelineDeps()).handle(requestView(facts), 'r1');
  };

  it.each([
    ['library-service', { peerPrincipal: library }, 200],
    ['another service', { peerPrincipal: circulation }, 403],
    ['nobody known', {}, 403],
    ['another service about authors', { peerPrincipal: circulation, url: '/api/v1/authors' }, 200],
    ['another service about changes', { peerPrincipal: circulation, method: 'PUT' }, 200],
  ])('enforced, catalog-service answers %s with %j: %i', async (_, facts, status) => {
    const outcome = await judge('enforce', { ...book, ...facts });
    expect(outcome.type === 'respond' ? outcome.status : 200).toBe(status);
  });

  it('as long as it watches, everybody comes through and the log says who would not', async () => {
    const { type, exchange } = await judge('audit', book);
    expect(type).toBe('forward');
    expect(exchange?.notes).toEqual({ audit: `Authorization/${key} rule 0 would deny` });
    expect((await judge('audit', { ...book, peerPrincipal: library })).exchange?.notes).toBe(
      undefined,
    );
  });
});
