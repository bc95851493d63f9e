// The event stream as server-sent events.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '#engine/ports/log.ts';

/** Keeps proxies in between from closing a quiet stream. */
const COMMENT_EVERY_MS = 15_000;
/** A client that reads slower than events come is cut off rather than buffered for. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

export const streamEvents = async (
  log: Log,
  filter: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> => {
  const last = Number(request.headers['last-event-id']);
  const reader = log.read(filter, Number.isSafeInteger(last) && last > 0 ? last + 1 : 'new');
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  });
  raw.write(': connected\n\n');
  const comment = setInterval(() => raw.write(': \n\n'), COMMENT_EVERY_MS);
  raw.on('close', () => reader.close());
  raw.on('error', () => reader.close());
  try {
    for await (const { sequence, data } of reader) {
      raw.write(`id: ${sequence}\ndata: ${new TextDecoder().decode(data)}\n\n`);
      if (raw.writableLength > MAX_BUFFERED_BYTES) break;
    }
  } finally {
    clearInterval(comment);
    reader.close();
    raw.end();
  }
};
