// What an upstream connection tells the one exchange that it serves at a time.
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { UpstreamConnection } from './connection.ts';

/**
 * connect: no connection came about. reset: lost before any byte of the answer. partial: lost inside the answer.
 * protocol: the answer is not HTTP. overflow: the pool's limits. timeout: connect took too long.
 */
export type UpstreamFailure =
  | 'connect'
  | 'connect-timeout'
  | 'reset'
  | 'partial'
  | 'protocol'
  | 'overflow';

export interface UpstreamClient {
  readonly method: string;
  /** The connection is this client's until its answer ends or fails; `reused` ones may turn out to be stale. */
  onConnected(connection: UpstreamConnection, reused: boolean): void;
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
