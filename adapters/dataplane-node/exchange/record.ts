// The end of an exchange: one count and, where somebody listens, one line.
import type { ExchangeRunner } from './runner.ts';

export const recordExchange = (run: ExchangeRunner): void => {
  const { context, exchange, forward, request } = run;
  const latencyMs = context.clock.monotonic() - run.startedAt;
  const rule = exchange?.rule.id ?? '';
  const service = forward?.upstream.service ?? '';
  const version = forward?.upstream.version ?? '';
  const retries = run.tries > 1 ? run.tries - 1 : 0;
  context.samples.record({
    rule,
    service,
    version,
    source: request.peerPrincipal ?? exchange?.principal ?? 'unknown',
    status: run.status,
    flag: run.flag,
    latencyMs,
    requestBytes: run.requestBytes,
    responseBytes: run.responseBytes,
    retries,
  });
  context.onAccess?.({
    atMs: context.clock.now(),
    requestId: run.requestId,
    listener: request.listener,
    clientAddress: request.clientAddress,
    method: request.method,
    host: request.host,
    path: request.path,
    status: run.status,
    flag: run.flag === '' ? '-' : run.flag,
    rule,
    service,
    version,
    endpoint: run.endpoint?.name ?? '',
    durationMs: latencyMs,
    tries: run.tries,
    requestBytes: run.requestBytes,
    responseBytes: run.responseBytes,
    principal: exchange?.principal,
    consumer: exchange?.consumer,
    userAgent: request.header('user-agent'),
    revision: run.revision,
    traceparent: request.header('traceparent'),
    notes: exchange?.notes,
  });
};
