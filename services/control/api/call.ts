// One call of the admin API, whatever brought it: who asks, is the request well formed, what is the answer.

import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import { type Caller, type ErrorAnswer, type Operation, operations } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import { mayCall } from '../access.ts';

type Handler = (caller: Caller, request: never) => Promise<unknown>;
export type Handlers = Readonly<Record<Operation, Handler>>;

const validators = new Map<Operation, ReturnType<typeof Compile>>();
const validatorOf = (operation: Operation) => {
  let validator = validators.get(operation);
  if (!validator) {
    validator = Compile(operations[operation].request as TSchema);
    validators.set(operation, validator);
  }
  return validator;
};

export const isOperation = (name: string): name is Operation => Object.hasOwn(operations, name);

/** Throws an EngineError for every refusal. `input` is untrusted. */
export const call = async (
  handlers: Handlers,
  operation: Operation,
  caller: Caller | undefined,
  input: unknown,
): Promise<unknown> => {
  const { role, request: schema } = operations[operation];
  if (!caller)
    throw new EngineError('ERR_REQUEST_UNAUTHENTICATED', 'who asks is not known', {
      source: 'caller',
    });
  if (!mayCall(caller, role))
    throw new EngineError(
      'ERR_REQUEST_FORBIDDEN',
      `${operation} needs the role ${role}; ${caller.name} is ${caller.role}`,
      { source: 'caller' },
    );
  const request = Value.Default(schema as TSchema, structuredClone(input ?? {}));
  if (!validatorOf(operation).Check(request)) throw malformed(operation, schema, request);
  return handlers[operation](caller, request as never);
};

const malformed = (operation: Operation, schema: unknown, request: unknown): EngineError => {
  const errors = Value.Errors(schema as TSchema, request);
  const words = errors.slice(0, 5).map(({ instancePath, message }) => {
    const place = instancePath.replace(/^\//, '').replaceAll('/', '.');
    return place === '' ? message : `${place}: ${message}`;
  });
  return new EngineError('ERR_REQUEST_INVALID', `${operation}: ${words.join('; ')}`, {
    source: 'caller',
  });
};

const hints: Partial<Record<EngineError['code'], string>> = {
  ERR_REQUEST_UNAUTHENTICATED:
    'Send "Authorization: Bearer <token>" with a token of .weir/tokens.json.',
  ERR_REQUEST_FORBIDDEN: 'Ask with a token of a role that may.',
  ERR_POLICY_CONFLICT:
    'Somebody else changed the policy set meanwhile. Look at the newest state and try again.',
  ERR_CANARY_STATE: '`weir policy-canary status` shows the last one.',
  ERR_POLICY_INVALID: 'Nothing was changed. The diagnostics say what to correct.',
  ERR_NOT_LEADER: 'Try again in a few seconds, or ask the leader.',
  ERR_MESSAGE_TOO_LARGE: 'Apply the documents in several parts.',
  ERR_BUS_UNREACHABLE:
    'The bus is away. What agents enforce is not affected; try again when it is back.',
  ERR_INTERNAL: 'This is a fault of the control service; its output has the details.',
};

/** Unknown errors tell the caller nothing but that they happened. */
export const answerError = (error: unknown): ErrorAnswer => {
  const known =
    error instanceof EngineError ? error : new EngineError('ERR_INTERNAL', 'an unexpected error');
  const { code, message, details } = known;
  const hint = hints[code];
  return {
    error: {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    },
  };
};
