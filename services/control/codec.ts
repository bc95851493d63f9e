// JSON on the wire, one line each way; large messages of agents come compressed.
import { gunzipSync } from 'node:zlib';
import { EngineError } from '#engine/model/errors.ts';

export const encodeJson = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));

/** Throws ERR_MESSAGE_MALFORMED. `what` names the thing for people. */
export const decodeJson = (bytes: Uint8Array, what: string): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(inflated(bytes)));
  } catch (cause) {
    throw new EngineError('ERR_MESSAGE_MALFORMED', `${what} is not JSON`, { source: 'bus', cause });
  }
};

/** So much may come out of a compressed message, whoever sent it. */
const LARGEST = 16 * 1024 * 1024;

const inflated = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes, { maxOutputLength: LARGEST }) : bytes;
