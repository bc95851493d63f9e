// The agent's own HTTP server: is it ready, what does it enforce, how is it doing. Loopback unless told otherwise.
import fastify, { type FastifyInstance } from 'fastify';
import { EngineError } from '#engine/model/errors.ts';
import { formatPosition } from '#engine/model/position.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import { redact } from './redact.ts';
import type { AgentStatus } from './status.ts';

export interface AdminOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly status: () => AgentStatus;
  readonly view: () => PlaneView | undefined;
  readonly metrics: () => string;
}

export interface AdminServer {
  readonly url: string;
  close(): Promise<void>;
}

export const startAdmin = async (options: AdminOptions): Promise<AdminServer> => {
  const server = adminRoutes(options);
  try {
    const { host, port } = options;
    // Among workers a free port is free for one of them only; a fixed one is handed to the successor.
    const url = await server.listen({ host, port, exclusive: port === 0 });
    return { url, close: () => server.close() };
  } catch (cause) {
    await server.close();
    throw explain(cause, `${options.host}:${options.port}`);
  }
};

const adminRoutes = (
  options: Pick<AdminOptions, 'status' | 'view' | 'metrics'>,
): FastifyInstance => {
  const server = fastify({ forceCloseConnections: true });
  server.get('/live', async () => ({ live: true }));
  server.get('/ready', async (_, reply) => {
    const { isReady, position, stalenessMs, ...status } = options.status();
    return await reply.code(isReady ? 200 : 503).send({
      ready: isReady,
      ...status,
      position: formatPosition(position),
      stalenessSeconds: Math.round(stalenessMs / 100) / 10,
    });
  });
  server.get('/metrics', async (_, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(options.metrics()),
  );
  server.get('/snapshot', async (_, reply) => {
    const view = options.view();
    if (!view) return await reply.code(503).send({ error: 'no policy is in force yet' });
    return {
      ...view,
      position: formatPosition(view.position),
      snapshot: redact(view.snapshot),
      overlay: Object.fromEntries(view.overlay),
    };
  });
  return server;
};

const explain = (cause: unknown, address: string): unknown => {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE')
    return new EngineError('ERR_PORT_TAKEN', `the admin address ${address} is in use already`, {
      cause,
    });
  if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND')
    return new EngineError('ERR_CONFIG_INVALID', `cannot listen on the admin address ${address}`, {
      cause,
    });
  return cause;
};
