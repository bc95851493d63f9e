// Failures at the rim. Each says what happened, whose fault it is and whether trying again may help.
export const errorCodes = [
  'ERR_BUS_UNREACHABLE',
  'ERR_BUS_TIMEOUT',
  'ERR_BUS_NO_RESPONDER',
  'ERR_BUS_DENIED',
  'ERR_LOG_CONFLICT',
  'ERR_STORE_CONFLICT',
  'ERR_STORE_UNREADABLE',
  'ERR_SIGNATURE_INVALID',
  'ERR_SIGNATURE_KEY_UNKNOWN',
  'ERR_MESSAGE_MALFORMED',
  'ERR_MESSAGE_TOO_LARGE',
  'ERR_MESSAGE_SCOPE',
  'ERR_CONFIG_INVALID',
  'ERR_PORT_TAKEN',
  'ERR_REQUEST_INVALID',
  'ERR_REQUEST_UNAUTHENTICATED',
  'ERR_REQUEST_FORBIDDEN',
  'ERR_REQUEST_NOT_FOUND',
  'ERR_POLICY_INVALID',
  'ERR_POLICY_CONFLICT',
  'ERR_ROLLOUT_STATE',
  'ERR_CANARY_STATE',
  'ERR_NOT_LEADER',
  'ERR_INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];
export type ErrorSource = 'caller' | 'upstream' | 'bus' | 'self';

export class EngineError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retryable: boolean;
  /** Anything a reader can act on: diagnostics, the revision expected, ... */
  readonly details: unknown;

  constructor(
    code: ErrorCode,
    message: string,
    options: { source?: ErrorSource; retryable?: boolean; cause?: unknown; details?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'EngineError';
    this.code = code;
    this.source = options.source ?? 'self';
    this.retryable = options.retryable ?? false;
    this.details = options.details;
  }
}

/** What it says, whatever was thrown. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
