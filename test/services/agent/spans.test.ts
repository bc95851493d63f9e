import {
  type Context,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { recordSpan } from '#services/agent/spans.ts';

const entry = (facts: Partial<AccessEntry> = {}): AccessEntry => ({
  atMs: 1_000_250,
  requestId: 'r1',
  listener: 'http',
  clientAddress: '10.0.0.9',
  method: 'GET',
  host: 'api.bibby.com',
  path: '/books',
  status: 200,
  flag: '-',
  rule: 'bibby/catalog/0',
  service: 'bibby/catalog-service',
  version: 'v1.1',
  endpoint: '10.0.0.7:80',
  durationMs: 250,
  tries: 1,
  requestBytes: 0,
  responseBytes: 2,
  principal: undefined,
  consumer: undefined,
  userAgent: undefined,
  revision: 8,
  traceparent: undefined,
  notes: undefined,
  ...facts,
});

const record = (facts: Partial<AccessEntry> = {}) => {
  const seen: {
    name?: string;
    options?: SpanOptions;
    parent?: string;
    status?: number;
    end?: unknown;
  } = {};
  const span = {
    setStatus: ({ code }: { code: number }) => {
      seen.status = code;
    },
    end: (at: unknown) => {
      seen.end = at;
    },
  } as unknown as Span;
  const tracer = {
    startSpan: (name: string, options: SpanOptions, context: Context) => {
      const parent = trace.getSpanContext(context);
      Object.assign(seen, { name, options, ...(parent ? { parent: parent.spanId } : {}) });
      return span;
    },
  } as unknown as Tracer;
  recordSpan(tracer, entry(facts));
  return seen;
};

describe('the span of an exchange', () => {
  it('tells the status of gRPC, and that the service failed', () => {
    const failed = record({ grpcStatus: 14 });
    expect(failed.options?.attributes).toMatchObject({ 'rpc.grpc.status_code': 14 });
    expect(failed.status).toBe(SpanStatusCode.ERROR);
    // Not found is the caller's.
    expect(record({ grpcStatus: 5 }).status).toBeUndefined();
    expect(record().options?.attributes).not.toHaveProperty('rpc.grpc.status_code');
  });

  it('covers it from start to end and says what was decided', () => {
    expect(record()).toMatchObject({
      name: 'GET bibby/catalog/0',
      end: 1_000_250,
      options: {
        startTime: 1_000_000,
        attributes: {
          'http.response.status_code': 200,
          'weir.revision': 8,
          'weir.destination.version': 'v1.1',
        },
      },
    });
  });

  it('hangs below the caller’s', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(record({ traceparent }).parent).toBe('b7ad6b7169203331');
  });

  it.each([
    'nonsense',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more',
  ])('starts a trace of its own for the trace context %s', (traceparent) => {
    expect(record({ traceparent }).parent).toBeUndefined();
  });

  it('is an error when the answer is one', () => {
    expect(record({ status: 503 }).status).toBe(2);
    expect(record({ status: 404 }).status).toBeUndefined();
  });
});
