// JSON on the wire, one line each way.
import { EngineError } from '#engine/model/errors.ts';

export const encodeJson = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));

/** Throws ERR_MESSAGE_MALFORMED. `what` names the thing for people. */
export const decodeJson = (bytes: Uint8Array, what: string): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EngineError('ERR_MESSAGE_MALFORMED', `${what} is not JSON`, { source: 'bus', cause });
  }
};
