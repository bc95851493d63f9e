import { describe, expect, it } from 'vitest';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { forwarded } from '#test/support/serve.ts';
import { planeView, rule, snapshot } from '#test/support/snapshot.ts';

const pipeline = () =>
  createPipeline(
    planeView(snapshot({ rules: [rule({ envelope: { version: '2.0', maxBytes: 100 } })] })),
    pipelineDeps({ time: { nowMs: 1234 } }),
  );
const answer = (status: number, headers: Readonly<Record<string, string>>) => ({
  status,
  header: (name: string) => headers[name],
});
const bytes = (text: string) => new TextEncoder().encode(text);
const json = { 'content-type': 'application/json' };

const send = async (body: string | Uint8Array, response = answer(200, json), method = 'GET') => {
  const served = pipeline();
  const outcome = forwarded(await served.handle(requestView({ method }), 'r'));
  served.respond(outcome.exchange, response);
  const wrapped = served.transformBody(
    outcome.exchange,
    response,
    typeof body === 'string' ? bytes(body) : body,
  );
  return {
    collect: outcome.collectResponseBytes,
    wants: served.wantsBody(outcome.exchange, response),
    removed: outcome.exchange.removeResponseHeaders,
    body: wrapped && new TextDecoder().decode(wrapped),
  };
};

describe('an envelope', () => {
  it.each([
    '{"id": 7}',
    '[1, 2]',
    '"text"',
    'null',
    ' {"n": 1.0e0, "big": 12345678901234567890, "a": 1, "a": 2}\n',
  ])('wraps %s byte for byte', async (body) => {
    const sent = await send(body);
    expect(sent).toMatchObject({ collect: 100, wants: true });
    expect(sent.body).toBe(`{"data":${body},"meta":{"version":"2.0","timestamp":1234}}`);
    expect(sent.removed).toContain('etag');
  });

  it.each([
    ['application/json; charset=utf-8', true],
    ['Application/JSON', true],
    ['application/hal+json', true],
    ['application/json; charset=utf-16', false],
    ['application/x-ndjson', false],
    ['application/jsonp', false],
    ['text/event-stream', false],
    ['application/grpc', false],
    ['application/grpc-web+json', true],
    ['text/html', false],
    ['', false],
  ])('looks at the content type: %s %s', async (type, isWrapped) => {
    const sent = await send('{}', answer(200, { 'content-type': type }));
    expect(sent.wants).toBe(isWrapped);
    expect(sent.body !== undefined).toBe(isWrapped);
  });

  it.each([204, 205, 206, 301, 304, 400, 404, 500, 503])('leaves a %s alone', async (status) => {
    const sent = await send('{}', answer(status, json));
    expect(sent).toMatchObject({ wants: false, removed: [], body: undefined });
  });

  it.each([
    ['gzip', false],
    ['br', false],
    ['identity', true],
  ])('looks at the encoding: %s %s', async (encoding, isWrapped) => {
    const sent = await send('{}', answer(200, { ...json, 'content-encoding': encoding }));
    expect(sent.wants).toBe(isWrapped);
  });

  it('has nothing to wrap in an answer to HEAD, whose length is none of its GET', async () => {
    expect(await send('', answer(200, json), 'HEAD')).toMatchObject({
      wants: true,
      body: undefined,
    });
  });

  it.each([
    ['no JSON', 'oops'],
    ['half of it', '{"a":'],
    ['nothing', ''],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['a byte order mark', '\ufeff{}'],
    ['more than the cap', `"${'x'.repeat(100)}"`],
  ])('leaves a body alone that is %s', async (_name, body) => {
    expect((await send(body)).body).toBeUndefined();
  });
});
