// What one HTTP/2 connection may cost.

/** Streams that a caller may have open at the same time. */
export const MAX_CONCURRENT_STREAMS = 100;
/** Bytes that may be under way to us on one connection, all streams together. */
export const CONNECTION_WINDOW = 1_048_576;
/** Of one field block: names, values and 32 bytes for each field. */
export const MAX_HEADER_LIST_SIZE = 65_535;
export const MAX_HEADER_PAIRS = 128;
/** Bytes that may be under way on one stream of an endpoint. */
const STREAM_WINDOW = 65_535;
/** Megabytes of frames, header tables and streams. */
const MAX_SESSION_MEMORY = 10;

/** Node's own limits on PINGs, SETTINGS and CONTINUATION stay as they are. */
export const upstreamOptions = {
  maxSessionMemory: MAX_SESSION_MEMORY,
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  // What may stand in a head twice is judged by whoever reads it.
  strictSingleValueFields: false,
  maxReservedRemoteStreams: 0,
  settings: {
    enablePush: false,
    maxHeaderListSize: MAX_HEADER_LIST_SIZE,
    initialWindowSize: STREAM_WINDOW,
  },
} as const;
