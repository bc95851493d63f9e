// What one HTTP/2 connection may cost. Node's own limits on resets, PINGs, SETTINGS and CONTINUATION stay as they are.
import type { ServerSessionOptions } from 'node:http2';

/** Streams that a caller may have open at the same time. */
export const MAX_CONCURRENT_STREAMS = 100;
/** Bytes that may be under way to us on one connection, all streams together. */
export const CONNECTION_WINDOW = 1_048_576;
/** Bytes that may be under way on one stream. */
const STREAM_WINDOW = 65_535;
const MAX_HEADER_LIST_SIZE = 65_535;
const MAX_HEADER_PAIRS = 128;
/** Megabytes of frames, header tables and streams. */
const MAX_SESSION_MEMORY = 10;

const shared = {
  maxSessionMemory: MAX_SESSION_MEMORY,
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  // What may stand in a head twice is judged by whoever reads it.
  strictSingleValueFields: false,
} as const;

export const callerOptions: ServerSessionOptions = {
  ...shared,
  maxSessionInvalidFrames: 100,
  settings: {
    enablePush: false,
    maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
    maxHeaderListSize: MAX_HEADER_LIST_SIZE,
    initialWindowSize: STREAM_WINDOW,
  },
};

export const upstreamOptions = {
  ...shared,
  maxReservedRemoteStreams: 0,
  settings: {
    enablePush: false,
    maxHeaderListSize: MAX_HEADER_LIST_SIZE,
    initialWindowSize: STREAM_WINDOW,
  },
} as const;
