// One line of the access log. Made only when somebody listens.

export interface AccessEntry {
  /** Milliseconds since 1970, at the end of the exchange. */
  readonly atMs: number;
  readonly requestId: string;
  readonly listener: string;
  readonly clientAddress: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** 499: the caller went away before the answer. */
  readonly status: number;
  /** Undefined for what is no call of gRPC. */
  readonly grpcStatus?: number | undefined;
  /** Envoy's response flag, `-` if all went well. */
  readonly flag: string;
  /** Rule id; empty when no route matched. */
  readonly rule: string;
  readonly service: string;
  readonly version: string;
  /** `address:port` of the last try; empty if there was none. */
  readonly endpoint: string;
  readonly durationMs: number;
  readonly tries: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly principal: string | undefined;
  readonly consumer: string | undefined;
  readonly userAgent: string | undefined;
  /** Of the policy that decided it. */
  readonly revision: number;
  /** As the caller sent it. */
  readonly traceparent: string | undefined;
  readonly notes: Readonly<Record<string, string>> | undefined;
}
