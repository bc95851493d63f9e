// The caller's side of one exchange, whatever protocol it speaks.
import type { FieldSection } from '../http1/field-section.ts';
import type { DownstreamRequest } from './request-view.ts';

export interface Downstream {
  readonly request: DownstreamRequest;
  /** The request body has been read to its end. */
  readonly isRequestDone: boolean;
  readonly isRequestPaused: boolean;
  /** Inside a read: `onRequestPause` will follow. */
  readonly isReading: boolean;
  /** A byte of the final answer has been written. */
  readonly hasWritten: boolean;
  /** Too much is waiting to leave; `onDownstreamDrain` says when it has. */
  readonly isFull: boolean;
  /** Asked once per answer. False: the connection closes after it, and the head has to say so. */
  keepsOpen(): boolean;
  /** 102, 103, spelled as HTTP/1.1: not yet the answer. */
  writeInformational(text: string): void;
  /** Head of the final answer, or of a 101, spelled as HTTP/1.1. Like the rest of it gathered until `flush`. */
  writeHead(text: string): void;
  /** A whole body as Latin-1 text, one character a byte. */
  writeText(text: string): void;
  writeRun(bytes: Buffer, start: number, end: number, chunked: boolean): void;
  /** After the last run of a body of unknown length: field lines, perhaps none, for callers that take them. */
  writeTrailers(lines: string): void;
  flush(): void;
  /** 100: the caller may send the body. */
  sendContinue(): void;
  /** Stop and go on reading the request body. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** Monotonic milliseconds at which the exchange wants its `onDue`. */
  schedule(at: number): void;
  /** The answer is complete; `closes` if only the end of the connection says so. */
  finish(closes: boolean): void;
  /**
   * The answer cannot be completed: the caller must not take it for whole. `lastWords`: trailers that say so, empty if there
   * are none, for callers whom trailers reach for certain.
   */
  abort(lastWords: string): void;
  /** After a 101: both directions are raw from here on. */
  becomeRaw(): void;
  /** Raw mode: the upstream sends no more. */
  endRaw(): void;
}

/** What the caller's side tells the exchange. */
export interface RequestSink {
  onRequestBytes(bytes: Buffer, start: number, end: number): void;
  onRequestEnd(trailers: FieldSection | undefined): void;
  onRequestPause(): void;
  onDownstreamDrain(): void;
  onDue(now: number): void;
  /** Raw mode: the caller sends no more. */
  onRawEnd(): void;
  /** The caller is gone. */
  onDisconnect(): void;
}
