// Turns what the NATS client throws into what the engine understands.
import { JetStreamApiError } from '@nats-io/jetstream';
import {
  InvalidArgumentError,
  InvalidSubjectError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from '@nats-io/nats-core';
import { EngineError, type ErrorCode } from '#engine/model/errors.ts';

/** JetStream's own error numbers, where an answer depends on them. */
export const jetStreamCodes = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  noMessageFound: 10037,
  streamNameInUse: 10058,
} as const;

export const apiCode = (error: unknown): number | undefined =>
  error instanceof JetStreamApiError ? error.code : undefined;

const PAYLOAD = /max[_ ]payload|maximum payload/i;

/** The innermost cause says what happened; the outer layers say where in the client. */
const innermost = (error: unknown): unknown => {
  let at = error;
  while (at instanceof RequestError && at.cause !== undefined) at = at.cause;
  return at;
};

const codeOf = (error: unknown): ErrorCode => {
  if (error instanceof TimeoutError) return 'ERR_BUS_TIMEOUT';
  if (error instanceof NoRespondersError) return 'ERR_BUS_NO_RESPONDER';
  if (error instanceof PermissionViolationError) return 'ERR_BUS_DENIED';
  if (error instanceof InvalidSubjectError) return 'ERR_REQUEST_INVALID';
  if (error instanceof InvalidArgumentError)
    return PAYLOAD.test(error.message) ? 'ERR_MESSAGE_TOO_LARGE' : 'ERR_REQUEST_INVALID';
  if (apiCode(error) === jetStreamCodes.wrongLastSequence) return 'ERR_LOG_CONFLICT';
  return 'ERR_BUS_UNREACHABLE';
};

const callersFault: ReadonlySet<ErrorCode> = new Set([
  'ERR_REQUEST_INVALID',
  'ERR_MESSAGE_TOO_LARGE',
  'ERR_LOG_CONFLICT',
]);
const final: ReadonlySet<ErrorCode> = new Set([
  'ERR_REQUEST_INVALID',
  'ERR_MESSAGE_TOO_LARGE',
  'ERR_BUS_DENIED',
]);

export const toEngineError = (error: unknown, where: string): EngineError => {
  if (error instanceof EngineError) return error;
  const cause = innermost(error);
  const code = codeOf(cause);
  const said = cause instanceof Error && cause.message !== '' ? cause.message : String(cause);
  return new EngineError(code, `${where}: ${said}`, {
    source: callersFault.has(code) ? 'caller' : 'bus',
    retryable: !final.has(code),
    cause: error,
  });
};

export const unreachable = (where: string): EngineError =>
  new EngineError('ERR_BUS_UNREACHABLE', `${where}: not connected to nats-server`, {
    source: 'bus',
    retryable: true,
  });
