// gRPC over HTTP: its status codes, deadlines and the shape of answers without a message.
import type { Respond } from '#engine/pipeline/exchange.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';

const OK = 0;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;

/**
 * gRPC's http-grpc-status-mapping.md, which Envoy follows too, but for what Weir knows better: a quota is RESOURCE_EXHAUSTED, a
 * route's timeout is DEADLINE_EXCEEDED.
 */
const OF_HTTP: Readonly<Record<number, number>> = {
  400: INTERNAL,
  401: 16,
  403: 7,
  404: UNIMPLEMENTED,
  429: RESOURCE_EXHAUSTED,
  502: UNAVAILABLE,
  503: UNAVAILABLE,
  504: DEADLINE_EXCEEDED,
};

/** Envoy's grpcToHttpStatus, by code: how an endpoint's answer counts for outlier detection. */
const TO_HTTP = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const;

/** Failures of the server, as OpenTelemetry's conventions for gRPC count them; the others are the caller's. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([
  UNKNOWN,
  DEADLINE_EXCEEDED,
  UNIMPLEMENTED,
  INTERNAL,
  UNAVAILABLE,
  DATA_LOSS,
]);

export const isServerFault = (code: number): boolean => SERVER_FAULTS.has(code);

/** `application/grpc` and its encodings, not gRPC-Web. */
const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/i;
const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/;
const UNIT_MS = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 } as const;

/** Undefined when the caller sets none. */
const timeoutOf = (value: string | undefined): number | undefined => {
  const match = value === undefined ? null : TIMEOUT.exec(value);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
};

const codeIn = (value: string | undefined): number => {
  if (value === undefined || !/^[0-9]{1,2}$/.test(value)) return UNKNOWN;
  const code = Number(value);
  return code < TO_HTTP.length ? code : UNKNOWN;
};

/** Percent-encoded UTF-8. */
const message = (text: string): string =>
  text.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    encodeURIComponent(part).replaceAll("'", '%27'),
  );

const statusLines = (code: number, text: string): string =>
  `grpc-status: ${code}\r\ngrpc-message: ${message(text)}\r\n`;

interface CallView {
  readonly method: string;
  header(name: string): string | undefined;
}

export class GrpcCall {
  /** What the caller was told; undefined before. */
  code: number | undefined;
  /** The status comes at the end of the answer. */
  isOpen = false;
  private readonly timeoutMs: number | undefined;

  private constructor(request: CallView) {
    this.timeoutMs = timeoutOf(request.header('grpc-timeout'));
  }

  /** Undefined for a request that is no call of gRPC. */
  static of(request: CallView): GrpcCall | undefined {
    if (request.method !== 'POST') return undefined;
    const type = request.header('content-type');
    return type !== undefined && CONTENT_TYPE.test(type) ? new GrpcCall(request) : undefined;
  }

  get isServerFault(): boolean {
    return this.code !== undefined && isServerFault(this.code);
  }

  /** The sooner of the caller's deadline and the route's; 0 for none. The service is told in `setHeaders` when it is the route's. */
  deadlineMs(routeMs: number, setHeaders: string[]): number {
    const { timeoutMs } = this;
    if (timeoutMs === undefined) return routeMs;
    if (routeMs === 0 || timeoutMs <= routeMs) return Math.max(timeoutMs, 1);
    setHeaders.push('grpc-timeout', `${Math.min(Math.ceil(routeMs), 99_999_999)}m`);
    return routeMs;
  }

  /** How the answer counts as far as its head tells; undefined while only its end can. */
  onHead(head: ResponseHead): number | undefined {
    if (head.status !== 200) {
      this.code = OF_HTTP[head.status] ?? UNKNOWN;
      return head.status;
    }
    const status = head.header('grpc-status');
    this.isOpen = status === undefined;
    return status === undefined ? undefined : this.settle(status);
  }

  onEnd(trailers: FieldSection | undefined): number {
    this.isOpen = false;
    return this.settle(trailers?.first('grpc-status'));
  }

  /** Trailers for an answer that cannot be completed. */
  lastWords(status: number, reason: string): string {
    this.isOpen = false;
    this.code = OF_HTTP[status] ?? UNKNOWN;
    return statusLines(this.code, reason);
  }

  /** Weir's own answer: no message, and the status in the head. */
  reply(reply: Respond): Respond {
    this.code = reply.status === 200 ? OK : (OF_HTTP[reply.status] ?? UNKNOWN);
    const text = reply.reason || reply.error || `HTTP status ${reply.status}`;
    const { exchange, flag, headers } = reply;
    return {
      type: 'respond',
      status: 200,
      error: '',
      reason: '',
      flag,
      headers: [
        'content-type',
        'application/grpc',
        'grpc-status',
        String(this.code),
        'grpc-message',
        message(text),
        ...headers,
      ],
      body: '',
      ...(exchange && { exchange }),
    };
  }

  private settle(status: string | undefined): number {
    this.code = codeIn(status);
    return TO_HTTP[this.code] ?? 500;
  }
}
