// The admin API of engine/model/api.ts with canned answers, and the requests it has seen.
import fastify from 'fastify';
import { type Operation, operations } from '#engine/model/api.ts';

export interface Seen {
  readonly operation: string;
  readonly request: unknown;
  readonly authorization: string | undefined;
}
export interface Refusal {
  readonly status: number;
  readonly body: object;
}
export type Answers = Partial<Record<Operation, unknown>>;

export class Refused {
  readonly refusal: Refusal;
  constructor(status: number, code: string, details?: unknown) {
    this.refusal = { status, body: { error: { code, message: 'as the test says', details } } };
  }
}

/** An operation without a canned answer is answered with 404. */
export const startFakeControl = async (answers: Answers, events: readonly object[] = []) => {
  const app = fastify();
  const seen: Seen[] = [];
  for (const [operation, { method, path }] of Object.entries(operations))
    app.route({
      method,
      url: path,
      handler: async (request, reply) => {
        const sent = method === 'GET' ? request.query : request.body;
        seen.push({ operation, request: sent, authorization: request.headers.authorization });
        const answer = answers[operation as Operation];
        if (answer instanceof Refused)
          return reply.code(answer.refusal.status).send(answer.refusal.body);
        if (answer === undefined)
          return reply
            .code(404)
            .send({ error: { code: 'ERR_REQUEST_NOT_FOUND', message: operation } });
        return answer;
      },
    });
  app.get('/v1/events', (_request, reply) => {
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) reply.raw.write(`id: 1\ndata: ${JSON.stringify(event)}\n\n`);
    reply.raw.end();
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, seen, close: () => app.close() };
};
