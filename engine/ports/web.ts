// HTTP calls to addresses that policy names: identity providers, authorizers, webhooks, metrics servers.

export interface WebRequest {
  readonly method: 'GET' | 'POST' | 'HEAD';
  /** http or https. Redirects are answers, never followed; link-local and metadata addresses are refused. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the first packet to the last byte. */
  readonly timeoutMs: number;
  /** Of the answer's body, after decoding. Default 64 KiB. */
  readonly maxBytes?: number;
  /** Once aborted nobody wants the answer any more: the call is broken off, which says nothing about the address. */
  readonly signal?: AbortSignal | undefined;
}

export interface WebAnswer {
  readonly status: number;
  /** Names in lower case; several values of one name are joined with `, `, but for `set-cookie`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  readonly body: string;
}

export interface Web {
  /**
   * Any status is an answer. Rejects with an Error whose message says in one sentence what went wrong (`answered nothing
   * within 1000 ms`), at once while the circuit breaker of the address' origin is open.
   */
  ask(request: WebRequest): Promise<WebAnswer>;
  close(): Promise<void>;
}
