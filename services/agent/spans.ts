// A span per exchange by OpenTelemetry's API: nothing happens until an SDK is set up. The trace context itself goes through
// the proxy untouched; the span hangs below the caller's.
import {
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { isServerFault } from '#adapters/dataplane-node/exchange/grpc.ts';

export const recordSpan = (tracer: Tracer, entry: AccessEntry): void => {
  const endMs = entry.atMs;
  const span = tracer.startSpan(
    entry.rule === '' ? entry.method : `${entry.method} ${entry.rule}`,
    {
      kind: SpanKind.SERVER,
      startTime: endMs - entry.durationMs,
      attributes: {
        'http.request.method': entry.method,
        'http.response.status_code': entry.status,
        'http.route': entry.rule,
        ...(entry.grpcStatus !== undefined && { 'rpc.grpc.status_code': entry.grpcStatus }),
        'server.address': entry.host,
        'url.path': entry.path,
        'client.address': entry.clientAddress,
        'weir.request_id': entry.requestId,
        'weir.revision': entry.revision,
        'weir.destination.service': entry.service,
        'weir.destination.version': entry.version,
        'weir.destination.endpoint': entry.endpoint,
        'weir.response_flags': entry.flag,
        'weir.tries': entry.tries,
      },
    },
    parentOf(entry.traceparent),
  );
  if (hasFailed(entry)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endMs);
};

const hasFailed = ({ status, grpcStatus }: AccessEntry): boolean =>
  status >= 500 || (grpcStatus !== undefined && isServerFault(grpcStatus));

/** W3C trace context, version 00 and whatever later versions keep of it. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

const parentOf = (traceparent: string | undefined): Context => {
  const [, version, traceId = '', spanId = '', flags = '', more] =
    TRACEPARENT.exec(traceparent ?? '') ?? [];
  const isKnown = version !== undefined && version !== 'ff' && (version !== '00' || !more);
  if (!isKnown || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
};
