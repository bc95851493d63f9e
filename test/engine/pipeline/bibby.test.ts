// The policies of the demo, compiled and served: what each kind of caller may do at the edge.
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { createPipeline, type PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { libraryFleet } from '#test/golden/surroundings.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { type RequestFacts, requestView } from '#test/support/request-view.ts';
import { answerHeaders, forwarded, pairs } from '#test/support/serve.ts';
import { planeView } from '#test/support/snapshot.ts';
import { keyPair, NOW_S, sign } from '#test/support/tokens.ts';

const folder = new URL('../../../policies/', import.meta.url);

let pipelineOf: (deps?: PipelineDeps) => Pipeline;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  const key = await keyPair('EdDSA', 'dev');
  const files = readdirSync(folder).map((name) => ({
    file: name,
    text: readFileSync(new URL(name, folder), 'utf8'),
  }));
  const compiled = compile({
    sources: new Map(readDocuments(files).documents.map(({ id, source }) => [id, source])),
    standing: new Map(),
    workloads: libraryFleet,
    capabilities: () => undefined,
    files: () => JSON.stringify({ keys: [key.jwk] }),
  });
  const edge = compiled.snapshots.get('edge.public');
  if (!edge) throw new Error(JSON.stringify(compiled.diagnostics));
  pipelineOf = (deps = pipelineDeps()) => createPipeline(planeView(edge), deps);
  tokens['reader'] = await sign(key, { sub: 'rita', roles: ['reader'] });
  tokens['librarian'] = await sign(key, { sub: 'lars', roles: ['reader', 'librarian'] });
  tokens['expired'] = await sign(key, { exp: NOW_S - 3600 });
  tokens['forged'] = await sign(await keyPair('EdDSA', 'dev'), { roles: ['librarian'] });
});

const as = (who: string, facts: RequestFacts): RequestFacts => ({
  listener: 'web',
  ...facts,
  headers: {
    ...facts.headers,
    ...(who === 'anybody' ? {} : { authorization: `Bearer ${tokens[who]}` }),
  },
});

describe('the library at the edge', () => {
  it.each([
    ['anybody', 'GET', '/catalog/books', 'catalog-service /books'],
    ['anybody', 'GET', '/catalog', 'catalog-service /'],
    ['anybody', 'HEAD', '/catalog/books/7?full=1', 'catalog-service /books/7?full=1'],
    ['anybody', 'GET', '/catalogue', '404'],
    ['anybody', 'GET', '/api/v1/books/7', 'catalog-service /api/v1/books/7'],
    ['anybody', 'GET', '/api/v1/bookshelf', '404'],
    ['anybody', 'GET', '/library/shelves', 'library-service /shelves'],
    ['anybody', 'POST', '/catalog/books', '401'],
    ['anybody', 'DELETE', '/api/v1/books/7', '401'],
    ['anybody', 'POST', '/circulation/checkouts', '401'],
    ['anybody', 'GET', '/catalog/whoami', '401'],
    ['reader', 'GET', '/catalog/books', 'catalog-service /books'],
    ['reader', 'GET', '/catalog/whoami', 'catalog-service /whoami'],
    ['reader', 'POST', '/catalog/books', '403'],
    ['reader', 'PUT', '/api/v1/books/7', '403'],
    ['reader', 'POST', '/circulation/checkouts', 'circulation-service /checkouts'],
    ['librarian', 'POST', '/catalog/books', 'catalog-service /books'],
    ['librarian', 'DELETE', '/api/v1/books/7', 'catalog-service /api/v1/books/7'],
    ['librarian', 'PUT', '/library/shelves/3', 'library-service /shelves/3'],
    ['librarian', 'PATCH', '/catalog/books/7', '404'],
    ['expired', 'GET', '/catalog/books', '401'],
    ['forged', 'POST', '/catalog/books', '401'],
    ['forged', 'GET', '/catalog/books', '401'],
  ])('answers %s who asks %s %s with %s', async (who, method, url, expected) => {
    const outcome = await pipelineOf().handle(requestView(as(who, { method, url })), 'r');
    const answer =
      outcome.type === 'respond'
        ? String(outcome.status)
        : `${outcome.upstream.service.replace('bibby/', '')} ${outcome.target}`;
    expect(answer).toBe(expected);
  });

  it('tells services who is calling, and only what the token says', async () => {
    const facts = as('librarian', {
      url: '/catalog/whoami',
      headers: { 'x-user-id': 'root', 'x-user-roles': 'admin' },
    });
    const { exchange } = forwarded(await pipelineOf().handle(requestView(facts), 'r'));
    expect(pairs(exchange.setHeaders)).toMatchObject({
      'x-user-id': 'lars',
      'x-user-roles': 'reader,librarian',
    });
  });

  it('limits the changes of each caller for himself', async () => {
    const pipeline = pipelineOf();
    const borrow = (who: string) =>
      pipeline.handle(requestView(as(who, { method: 'POST', url: '/circulation/checkouts' })), 'r');
    for (let i = 0; i < 1000; i += 1) expect((await borrow('reader')).type).toBe('forward');
    const refused = await borrow('reader');
    expect(refused).toMatchObject({ type: 'respond', status: 429 });
    expect(answerHeaders(refused)).toMatchObject({
      'x-ratelimit-limit-hour': '1000',
      'x-ratelimit-remaining-hour': '0',
      'retry-after': expect.stringMatching(/^[0-9]+$/),
    });
    expect((await borrow('librarian')).type).toBe('forward');
  });

  it('answers the preflight of its own pages', async () => {
    const preflight = (origin: string) =>
      pipelineOf().handle(
        requestView(
          as('anybody', {
            method: 'OPTIONS',
            url: '/catalog/books',
            headers: { origin, 'access-control-request-method': 'POST' },
          }),
        ),
        'r',
      );
    expect(answerHeaders(await preflight('https://app.bibby.com'))).toMatchObject({
      'access-control-allow-origin': 'https://app.bibby.com',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '3600',
    });
    expect(await preflight('https://evil.org')).toMatchObject({ status: 403 });
  });
});
