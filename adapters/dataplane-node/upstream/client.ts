// What an upstream connection tells the one exchange that it serves at a time.
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';

/**
 * connect: no connection came about. reset: lost before any byte of the answer. partial: lost inside the answer.
 * refused: the endpoint says that it has not looked at the request. protocol: the answer is not HTTP. overflow: the pool's limits. timeout: connect took too long.
 */
export type UpstreamFailure =
  | 'connect'
  | 'connect-timeout'
  | 'reset'
  | 'refused'
  | 'partial'
  | 'protocol'
  | 'overflow';

/** What a client may do with the connection that serves it. */
export interface ClientConnection {
  /** The endpoint is to be told that no request follows. */
  readonly isLastRequest: boolean;
  /** Too much is waiting to leave; `onUpstreamDrain` says when it has. */
  readonly isFull: boolean;
  /** Head of the request, spelled as HTTP/1.1. Like the rest of it gathered until `flush`. */
  writeHead(text: string): void;
  writeRun(bytes: Buffer, start: number, end: number, chunked: boolean): void;
  /** After the last run of a body of unknown length: field lines, perhaps none. */
  writeTrailers(lines: string): void;
  endRequest(): void;
  flush(): void;
  /** Stop and go on reading the answer. */
  pause(): void;
  resume(): void;
  /** Raw mode: half-close. */
  endRaw(): void;
  /** The head was enough: the rest of the answer is of no interest. */
  discard(): void;
  /** The client goes; what the endpoint makes of the request is unknown. */
  abandon(): void;
}

/** A connection that waits for a client. */
export interface IdleConnection extends ClientConnection {
  serve(client: UpstreamClient, reused: boolean): void;
  close(): void;
}

export interface UpstreamClient {
  readonly method: string;
  /** The connection is this client's until its answer ends or fails; `reused` ones may turn out to be stale. */
  onConnected(connection: ClientConnection, reused: boolean): void;
  /** 102, 103: the final head is still to come. */
  onInformational(head: ResponseHead): void;
  onResponseHead(head: ResponseHead): void;
  /** `bytes[start, end)` are valid during the call only. */
  onResponseBytes(bytes: Buffer, start: number, end: number): void;
  /** The whole answer has been seen; the connection is no longer this client's. */
  onResponseEnd(trailers: FieldSection | undefined): void;
  /** Everything of the present read has been handed over. */
  onResponsePause(): void;
  /** 101: from here on both directions are raw. `bytes[start, end)` came along with the head. */
  onSwitched(head: ResponseHead, bytes: Buffer, start: number, end: number): void;
  /** The connection is gone, and no longer this client's. */
  onUpstreamFailure(failure: UpstreamFailure): void;
  /** What was written has left. */
  onUpstreamDrain(): void;
  /** After 101: the upstream sends no more. */
  onUpstreamEnd(): void;
}
