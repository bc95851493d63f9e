// One JSON object per request, one line each. Lines of the same turn of the event loop go out together.
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';

export interface AccessLog {
  record(entry: AccessEntry): void;
  /** Writes what waits. */
  flush(): void;
}

export const createAccessLog = (write: (text: string) => void): AccessLog => {
  let waiting = '';
  const flush = (): void => {
    const text = waiting;
    waiting = '';
    if (text !== '') write(text);
  };
  return {
    record: (entry) => {
      if (waiting === '') setImmediate(flush);
      waiting += `${JSON.stringify(accessLine(entry))}\n`;
    },
    flush,
  };
};

/** Absent facts are left out. */
const accessLine = (entry: AccessEntry): Readonly<Record<string, unknown>> => ({
  time: new Date(entry.atMs).toISOString(),
  requestId: entry.requestId,
  method: entry.method,
  host: entry.host,
  path: entry.path,
  status: entry.status,
  grpcStatus: entry.grpcStatus,
  flags: entry.flag,
  route: entry.rule,
  service: entry.service,
  version: entry.version,
  upstream: entry.endpoint,
  durationMs: Math.round(entry.durationMs * 1000) / 1000,
  tries: entry.tries,
  bytesReceived: entry.requestBytes,
  bytes: entry.responseBytes,
  client: entry.clientAddress,
  principal: entry.principal,
  consumer: entry.consumer,
  userAgent: entry.userAgent,
  revision: entry.revision,
  traceparent: entry.traceparent,
  ...entry.notes,
});
