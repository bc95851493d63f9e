// One service of the sample library, plain node:http. It knows nothing of Weir.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, answerHeaders, type TimedReply } from './answer.ts';
import { type BibbyConfig, parseConfig } from './config.ts';
import { holdingsOf } from './holdings.ts';

const MAX_BODY_BYTES = 64 * 1024;

const run = async (config: BibbyConfig): Promise<void> => {
  const world = { config, holdings: holdingsOf(config.service, config.version) };
  const server = createServer((request, response) => {
    reply(request, response).catch(() => response.destroy());
  });
  // A proxy in front keeps its connections longer than Node's default of 5 seconds.
  server.keepAliveTimeout = 65_000;

  const reply = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = 'GET', url: target = '/', headers } = request;
    const body = await readBody(request);
    if (body === undefined) return send(response, { waitMs: 0, status: 413, body: tooLarge });
    const timed = answer(world, { method, target, headers, body }, Math.random);
    if (timed.waitMs >= 1) await sleep(timed.waitMs);
    send(response, timed, config);
  };

  await listen(server, config);
  const { port } = server.address() as AddressInfo;
  console.log(`${config.service} ${config.version} listening on http://${config.host}:${port}`);

  const stop = () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 2000).unref();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
};

const tooLarge = { error: 'Content Too Large' };

const listen = (server: ReturnType<typeof createServer>, { host, port }: BibbyConfig) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });

const readBody = async (request: IncomingMessage): Promise<string | undefined> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
};

const send = (response: ServerResponse, { status, body }: TimedReply, config?: BibbyConfig) => {
  const text = body === undefined ? '' : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    ...(text ? { 'content-type': 'application/json' } : {}),
    ...(status === 204 ? {} : { 'content-length': Buffer.byteLength(text) }),
    ...(config ? answerHeaders(config, response.req.headers) : {}),
  });
  response.end(text);
};

try {
  await run(parseConfig(process.argv.slice(2), process.env));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
