// The words that a data plane and the pipeline share: one request as seen by policy, and what is to be done with it.
import type { ForwardAction, Rule, Upstream } from '../model/snapshot.ts';

/** A request after strict parsing and path normalisation. Implementations look headers up lazily. */
export interface RequestView {
  readonly listener: string;
  readonly localPort: number;
  readonly scheme: 'http' | 'https';
  readonly method: string;
  /** Lower case, without port and trailing dot. */
  readonly host: string;
  /** As received, with port. */
  readonly authority: string;
  /** The one canonical path that everybody sees. */
  readonly path: string;
  /** Without `?`; empty if none. */
  readonly query: string;
  /** The peer, or the rightmost untrusted hop where the peer is a trusted proxy. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** Where the caller connected to, as a proxy in front tells it, if one does; absent where nobody knows. */
  readonly localAddress?: string | undefined;
  /** That a TLS caller asked for, in lower case without trailing dot; absent without TLS or without a name. */
  readonly serverName?: string | undefined;
  /** `spiffe://...` of the peer's certificate, if any. */
  readonly peerPrincipal: string | undefined;
  /** Other names of the peer's certificate; absent without one, and where the data plane does not look. */
  readonly peerNames?: PeerNames | undefined;
  /** Aborted once the caller has gone away without an answer; absent where nobody can tell. For filters that wait for others. */
  readonly gone?: AbortSignal | undefined;
  /** First value; `name` in lower case. */
  header(name: string): string | undefined;
  /** All values, in order. */
  headers(name: string): readonly string[];
}

export interface PeerNames {
  /** In lower case, in the order of the certificate. */
  readonly dns: readonly string[];
  /** As RFC 4514 writes it: `CN=reader,O=Bibby`. */
  readonly subject: string | undefined;
}

/** What filters find out and decide about one request. Made once per request, reused by the response filters. */
export interface Exchange {
  readonly request: RequestView;
  readonly requestId: string;
  readonly rule: Rule;
  /** `issuer/subject` of a token, a consumer's name, ...; undefined while nobody is authenticated. */
  principal: string | undefined;
  consumer: string | undefined;
  groups: readonly string[];
  claims: Readonly<Record<string, unknown>> | undefined;
  /** Set on the request to the upstream, replacing every client copy: name, value, name, value, ... */
  readonly setHeaders: string[];
  /** Taken off the request to the upstream, before `setHeaders` are set. Lower case. */
  readonly removeHeaders: string[];
  /**
   * Set on the response, local replies included: name, value, ... Replaces what the upstream sent, but `set-cookie`, which
   * is added beside it. A name that stands here twice makes two lines.
   */
  readonly responseHeaders: string[];
  /** Taken off the upstream's response, before `responseHeaders` are set. Lower case. */
  readonly removeResponseHeaders: string[];
  /** Where a caller who stays with a version stands in the split, 0 to 1; undefined for whom chance decided. */
  stickyPoint?: number | undefined;
  /** Access-log facts: `policy`, `reason`, ... Only what is needed is allocated. */
  notes: Record<string, string> | undefined;
}

/** A local reply. `reason` is for people, `flag` is Envoy's response flag. */
export interface Respond {
  readonly type: 'respond';
  readonly status: number;
  /** `Unauthorized`, `Too Many Requests`, ...: member `error` of the JSON body. */
  readonly error: string;
  readonly reason: string;
  readonly flag: string;
  /** Extra response headers: name, value, ... */
  readonly headers: readonly string[];
  /** Replaces the JSON body. */
  readonly body?: string;
  readonly contentType?: string;
  /** Absent when no route matched. */
  readonly exchange?: Exchange;
}

export interface Forward {
  readonly type: 'forward';
  readonly exchange: Exchange;
  readonly action: ForwardAction;
  readonly upstream: Upstream;
  /** Path and query to send upstream. */
  readonly target: string;
  /** Host header to send upstream; undefined keeps the caller's. */
  readonly host: string | undefined;
  /** For consistent hashing and sticky endpoints; undefined when nobody asks. */
  readonly hashKey: string | undefined;
  /** Wait this long first (fault injection). */
  readonly delayMs: number;
  readonly mirror: Upstream | undefined;
  /** The body has to be collected, up to so many bytes, for `transformBody`; 0 streams it. */
  readonly collectResponseBytes: number;
}

export type Outcome = Respond | Forward;

/** The head of an upstream's answer as the response filters see it. */
export interface ResponseView {
  readonly status: number;
  header(name: string): string | undefined;
}

/** One snapshot plus overlay, compiled. Pure but for the quota counters and token caches that it was given. */
export interface Pipeline {
  readonly revision: number;
  /**
   * Step 3: only Weir itself may say this to an upstream, so every copy that a caller sends is dropped, in trailers too, and
   * `Connection` cannot name it. Covers every spelling (`x_user.id` is `x-user-id`). `name` in lower case.
   */
  isProtectedHeader(name: string): boolean;
  /**
   * Whether what let this exchange in has been revoked since. Asked about exchanges that are still open (streams, WebSockets)
   * after an activation; those of the old pipeline are known to the new one.
   */
  isRevoked?(exchange: Exchange): boolean;
  /** The decision that shuts out everybody with a certificate of this name, or undefined. */
  revocationOf?(principal: string): string | undefined;
  /** Steps 5 to 13 of the request's way. Synchronous unless a filter must wait. */
  handle(request: RequestView, requestId: string): Outcome | Promise<Outcome>;
  /**
   * Step 16, in reverse order: adds to `responseHeaders` and `removeResponseHeaders`. Call it once the head of the answer is
   * known, also when the data plane itself answers (no connection, timeout). A `Respond` has been through it already; a second call does nothing.
   */
  respond(exchange: Exchange, response: ResponseView): void;
  /** For `collectResponseBytes` > 0, after `respond`: false means stream this answer, it is none to transform (event stream, encoded, ...). */
  wantsBody(exchange: Exchange, response: ResponseView): boolean;
  /** For `collectResponseBytes` > 0: the body to send instead, or undefined to send it as it was. */
  transformBody(
    exchange: Exchange,
    response: ResponseView,
    body: Uint8Array,
  ): Uint8Array | undefined;
}
