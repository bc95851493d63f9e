// The admin API over HTTP. Transport only: every operation is one entry of the table in engine/model/api.ts.
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Operation, operations } from '#engine/model/api.ts';
import { EngineError, type ErrorCode } from '#engine/model/errors.ts';
import type { Log } from '#engine/ports/log.ts';
import type { Access } from './access.ts';
import { answerError, call, type Handlers } from './api/call.ts';
import type { Metrics } from './metrics.ts';
import { streamEvents } from './sse.ts';

/** Above what the reader of documents takes, so that a document that is too large gets a diagnostic. */
const BODY_LIMIT = 32 * 1024 * 1024;

export interface HttpDeps {
  readonly handlers: Handlers;
  readonly access: Access;
  readonly metrics: Metrics;
  readonly events: Log;
  readonly everyEvent: string;
  /** Why it is not ready, in words; empty when it is. */
  readonly notReady: () => readonly string[];
  readonly isLeading: () => boolean;
  readonly beforeMetrics: () => void;
  readonly version: string;
  readonly onError: (where: string, error: unknown) => void;
}

export const statusOf: Record<ErrorCode, number> = {
  ERR_BUS_UNREACHABLE: 503,
  ERR_BUS_TIMEOUT: 504,
  ERR_BUS_NO_RESPONDER: 503,
  ERR_BUS_DENIED: 502,
  ERR_LOG_CONFLICT: 409,
  ERR_STORE_CONFLICT: 409,
  ERR_STORE_UNREADABLE: 500,
  ERR_SIGNATURE_INVALID: 502,
  ERR_SIGNATURE_KEY_UNKNOWN: 502,
  ERR_MESSAGE_MALFORMED: 400,
  ERR_MESSAGE_TOO_LARGE: 413,
  ERR_MESSAGE_SCOPE: 400,
  ERR_CONFIG_INVALID: 500,
  ERR_PORT_TAKEN: 500,
  ERR_REQUEST_INVALID: 400,
  ERR_REQUEST_UNAUTHENTICATED: 401,
  ERR_REQUEST_FORBIDDEN: 403,
  ERR_REQUEST_NOT_FOUND: 404,
  ERR_POLICY_INVALID: 422,
  ERR_POLICY_CONFLICT: 409,
  ERR_ROLLOUT_STATE: 409,
  ERR_CANARY_STATE: 409,
  ERR_NOT_LEADER: 503,
  ERR_INTERNAL: 500,
};

export const createHttp = async (deps: HttpDeps): Promise<FastifyInstance> => {
  const app = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Weir admin API', version: deps.version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  });
  // Requests are validated where all transports meet (api/call.ts); here the schemas make the OpenAPI document.
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  acceptYaml(app);
  answerErrors(app, deps);
  for (const operation of Object.keys(operations) as Operation[]) expose(app, deps, operation);
  exposeState(app, deps);
  return app;
};

const expose = (app: FastifyInstance, deps: HttpDeps, operation: Operation): void => {
  const { method, path, request: schema, role } = operations[operation];
  app.route({
    method,
    url: path,
    schema: {
      operationId: operation,
      summary: operation,
      description: `Needs the role ${role}.`,
      tags: [operation.split('.')[0] ?? ''],
      ...(method === 'GET' ? { querystring: schema } : { body: schema }),
    },
    handler: async (request, reply) => {
      const input = method === 'GET' ? numbersIn(request.query) : bodyOf(operation, request);
      const answer = await call(deps.handlers, operation, callerOf(deps, request), input);
      deps.metrics.add('weir_api_requests_total', 1, { operation, code: '200' });
      return reply.type('application/json').send(answer);
    },
  });
};

const callerOf = (deps: HttpDeps, request: FastifyRequest) => {
  const [, token] = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  return token === undefined ? undefined : deps.access.byToken(token);
};

/** A query string has only texts; the schemas want numbers where there are digits. */
const numbersIn = (query: unknown): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(query as Record<string, unknown>).map(([key, value]) => [
      key,
      typeof value === 'string' && /^\d{1,15}$/.test(value) && NUMBERS.has(key)
        ? Number(value)
        : value,
    ]),
  );
const NUMBERS = new Set(['limit', 'revision']);

interface YamlBody {
  readonly yaml: string;
}
const isYaml = (body: unknown): body is YamlBody =>
  typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === YAML_BODY;
/** Marks what the YAML parser made, so that no JSON body can pass for it. */
const YAML_BODY = Object.freeze({});

const acceptYaml = (app: FastifyInstance): void => {
  app.addContentTypeParser(
    ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'],
    { parseAs: 'string' },
    (_request, body, done) => {
      done(null, Object.assign(Object.create(YAML_BODY) as object, { yaml: body }));
    },
  );
};

/** With a YAML body everything else comes as query parameters. */
const bodyOf = (operation: Operation, request: FastifyRequest): unknown => {
  if (!isYaml(request.body)) return request.body ?? {};
  if (operation !== 'policy.apply' && operation !== 'policy.diff')
    throw new EngineError('ERR_REQUEST_INVALID', `${operation} takes JSON`, { source: 'caller' });
  const query = request.query as Record<string, string | undefined>;
  const { file = 'request.yaml', message, dryRun, allOrNothing, expectRevision } = query;
  return {
    documents: [{ file, text: request.body.yaml }],
    ...(message === undefined ? {} : { message }),
    ...(dryRun === undefined ? {} : { dryRun: dryRun !== 'false' }),
    ...(allOrNothing === undefined ? {} : { allOrNothing: allOrNothing !== 'false' }),
    ...(expectRevision === undefined ? {} : { expectRevision: Number(expectRevision) }),
    ...(query['wait'] === undefined || query['wait'] === 'false' ? {} : { wait: {} }),
  };
};

const answerErrors = (app: FastifyInstance, deps: HttpDeps): void => {
  const send = (reply: FastifyReply, error: EngineError, operation: string) => {
    const code = statusOf[error.code];
    deps.metrics.add('weir_api_requests_total', 1, { operation, code: String(code) });
    return reply.code(code).type('application/json').send(answerError(error));
  };
  app.setErrorHandler((error, request, reply) => {
    const known = fromFastify(error);
    const operation = String(
      (request.routeOptions.schema as { operationId?: string } | undefined)?.operationId ?? '',
    );
    if (known.code === 'ERR_INTERNAL') deps.onError(`${request.method} ${request.url}`, error);
    return send(reply, known, operation);
  });
  app.setNotFoundHandler((request, reply) =>
    send(
      reply,
      new EngineError('ERR_REQUEST_NOT_FOUND', `there is no ${request.method} ${request.url}`, {
        source: 'caller',
      }),
      '',
    ),
  );
};

/** The framework's own refusals, such as a body that is no JSON, in our words. */
const fromFastify = (error: unknown): EngineError => {
  if (error instanceof EngineError) return error;
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 413)
    return new EngineError('ERR_MESSAGE_TOO_LARGE', `the body exceeds ${BODY_LIMIT} bytes`, {
      source: 'caller',
    });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new EngineError('ERR_REQUEST_INVALID', message ?? 'the request is not understood', {
      source: 'caller',
    });
  return new EngineError('ERR_INTERNAL', 'an unexpected error', { cause: error });
};

const exposeState = (app: FastifyInstance, deps: HttpDeps): void => {
  const hidden = { schema: { hide: true } };
  app.get('/live', hidden, () => ({ live: true }));
  app.get('/ready', hidden, (_request, reply) => {
    const reasons = deps.notReady();
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ ready: reasons.length === 0, reasons });
  });
  // For a load balancer: commands are the leader's.
  app.get('/leading', hidden, (_request, reply) => {
    const leading = deps.isLeading();
    return reply.code(leading ? 200 : 503).send({ leading });
  });
  app.get('/metrics', hidden, (_request, reply) => {
    deps.beforeMetrics();
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(deps.metrics.text());
  });
  app.get('/openapi.json', hidden, () => app.swagger());
  app.get(
    '/v1/events',
    {
      schema: {
        operationId: 'events.stream',
        summary: 'events.stream',
        description: 'Server-sent events, live. `Last-Event-ID` goes on where a stream broke off.',
        tags: ['events'],
      },
    },
    (request, reply) => {
      if (!callerOf(deps, request))
        throw new EngineError('ERR_REQUEST_UNAUTHENTICATED', 'who asks is not known', {
          source: 'caller',
        });
      return streamEvents(deps.events, deps.everyEvent, request, reply);
    },
  );
};
