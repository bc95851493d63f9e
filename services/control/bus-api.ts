// The admin API over the bus: `weir.<mesh>.api.<noun>.<verb>`. Payload and answer are JSON; `policy.apply` and
// `policy.diff` also take plain YAML, so a stock client can apply a file.
import { EngineError } from '#engine/model/errors.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import type { Bus, BusMessage, Subscription } from '#engine/ports/bus.ts';
import type { Access } from './access.ts';
import { answerError, call, type Handlers, isOperation } from './api/call.ts';
import { encodeJson } from './codec.ts';
import { statusOf } from './http.ts';
import type { Metrics } from './metrics.ts';

export interface BusApiDeps {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly handlers: Handlers;
  readonly access: Access;
  readonly metrics: Metrics;
  readonly onError: (where: string, error: unknown) => void;
}

export const serveBusApi = (deps: BusApiDeps): Subscription =>
  deps.bus.serve(deps.subjects.everyApi, 'control', async (message) => {
    const operation = message.subject.split('.').slice(-2).join('.');
    try {
      const answer = await answerTo(deps, operation, message);
      deps.metrics.add('weir_api_requests_total', 1, { operation, code: '200' });
      return encodeJson(answer);
    } catch (error) {
      const code = error instanceof EngineError ? error.code : 'ERR_INTERNAL';
      if (code === 'ERR_INTERNAL') deps.onError(message.subject, error);
      const name = isOperation(operation) ? operation : '';
      deps.metrics.add('weir_api_requests_total', 1, {
        operation: name,
        code: String(statusOf[code]),
      });
      return encodeJson(answerError(error));
    }
  });

const answerTo = (deps: BusApiDeps, operation: string, message: BusMessage): Promise<unknown> => {
  if (!isOperation(operation))
    throw new EngineError('ERR_REQUEST_NOT_FOUND', `there is no operation ${operation}`, {
      source: 'caller',
    });
  const takesYaml = operation === 'policy.apply' || operation === 'policy.diff';
  const caller = deps.access.byUser(message.user);
  return call(deps.handlers, operation, caller, requestIn(message.data, takesYaml));
};

const requestIn = (data: Uint8Array, takesYaml: boolean): unknown => {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch {
    throw new EngineError('ERR_REQUEST_INVALID', 'the payload is not UTF-8', { source: 'caller' });
  }
  if (text.trim() === '') return takesYaml ? yaml('') : {};
  try {
    const value: unknown = JSON.parse(text);
    // A policy document may be written as JSON too; a request has no apiVersion.
    const isDocument = typeof value === 'object' && value !== null && 'apiVersion' in value;
    return takesYaml && isDocument ? yaml(text) : value;
  } catch {
    if (takesYaml) return yaml(text);
    throw new EngineError('ERR_REQUEST_INVALID', 'the payload is not JSON', { source: 'caller' });
  }
};

const yaml = (text: string) => ({ documents: [{ file: 'request.yaml', text }] });
