// The admin API as the command sees it: one function per operation of engine/model/api.ts.
import {
  type ApplyAnswer,
  type BreakerAnswer,
  type ErrorAnswer,
  type FleetAnswer,
  type GetAnswer,
  type HistoryAnswer,
  type Operation,
  operations,
  type RevocationAnswer,
  type RolloutAnswer,
} from '#engine/model/api.ts';
import type { PolicyCanaryAnswer } from '#engine/model/policy-canary.ts';
import { CliError, type ExitCode, exitCodes } from './exit.ts';
import type { Explained } from './explain-view.ts';
import type { Target } from './installation.ts';

interface Answers {
  'policy.apply': ApplyAnswer;
  'policy.diff': ApplyAnswer;
  'policy.get': GetAnswer;
  'policy.delete': ApplyAnswer;
  'policy.history': HistoryAnswer;
  'policy.rollback': ApplyAnswer;
  'policy.explain': Explained;
  'policy-canary.status': PolicyCanaryAnswer;
  'policy-canary.promote': PolicyCanaryAnswer;
  'policy-canary.abort': PolicyCanaryAnswer;
  'fleet.status': FleetAnswer;
  'access.revoke': RevocationAnswer;
  'access.restore': RevocationAnswer;
  'access.revocations': RevocationAnswer;
  'breaker.status': BreakerAnswer;
  'breaker.open': BreakerAnswer;
  'breaker.close': BreakerAnswer;
  'rollout.status': RolloutAnswer;
}
export type AnswerOf<O extends Operation> = O extends keyof Answers ? Answers[O] : RolloutAnswer;

export interface Client {
  readonly url: string;
  call<O extends Operation>(
    operation: O,
    request?: object,
    options?: CallOptions,
  ): Promise<AnswerOf<O>>;
  /** One CloudEvent after the other, until the signal aborts. */
  events(signal: AbortSignal): AsyncIterable<unknown>;
}

interface CallOptions {
  readonly timeoutMs?: number;
}

export const createClient = (target: Target): Client => {
  const authorization = target.token ? { authorization: `Bearer ${target.token}` } : {};
  const send = async (
    path: string,
    init: Omit<RequestInit, 'headers'> & { headers?: Readonly<Record<string, string>> },
  ): Promise<Response> => {
    try {
      const headers = { ...authorization, ...init.headers };
      return await fetch(`${target.url}${path}`, { ...init, headers });
    } catch (error) {
      throw unreachable(target, error);
    }
  };
  return {
    url: target.url,
    async call(operation, request = {}, { timeoutMs = 30_000 } = {}) {
      const { method, path } = operations[operation];
      const signal = AbortSignal.timeout(timeoutMs);
      const response =
        method === 'GET'
          ? await send(`${path}${queryOf(request)}`, { method, signal })
          : await send(path, {
              method,
              signal,
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify(request),
            });
      return (await answerOf(response)) as AnswerOf<typeof operation>;
    },
    async *events(signal) {
      const headers = { accept: 'text/event-stream' };
      const response = await send('/v1/events', { signal, headers });
      if (!response.ok || !response.body) await answerOf(response);
      else yield* eventsIn(response.body, signal);
    },
  };
};

const queryOf = (request: object): string => {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(request))
    if (value !== undefined) query.set(key, String(value));
  return query.size > 0 ? `?${query.toString()}` : '';
};

const unreachable = ({ url }: Target, cause: unknown): CliError => {
  const error = cause as Error & { cause?: NodeJS.ErrnoException };
  if (error.name === 'TimeoutError')
    return new CliError(exitCodes.timedOut, `${url} did not answer in time.`);
  const why = error.cause?.code ?? error.cause?.message ?? error.message;
  return new CliError(exitCodes.unreachable, `Control is not reachable at ${url} (${why}).`, {
    hint: 'Start it with `npm start`, or say where it is with --url or WEIR_URL. `weir check` looks closer.',
  });
};

const answerOf = async (response: Response): Promise<unknown> => {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new CliError(
      exitCodes.failed,
      `${response.url} answered ${response.status} and not in JSON: is this Weir's control?`,
    );
  }
  if (!response.ok) throw new ApiError(response.status, body);
  return body;
};

/** What control refused, in its own words. */
export class ApiError extends CliError {
  readonly details: unknown;

  constructor(status: number, body: unknown) {
    const { error } = (body ?? {}) as Partial<ErrorAnswer>;
    const code = error?.code ?? `HTTP ${status}`;
    super(exitCodeOf(code, status), error?.message ?? 'control refused the request', {
      code,
      hint: error?.hint ?? hints[code],
    });
    this.details = error?.details;
  }
}

const exitCodeOf = (code: string, status: number): ExitCode => {
  switch (code) {
    case 'ERR_POLICY_INVALID':
      return exitCodes.rejected;
    case 'ERR_REQUEST_INVALID':
      return exitCodes.usage;
    case 'ERR_NOT_LEADER':
    case 'ERR_BUS_UNREACHABLE':
      return exitCodes.unreachable;
    case 'ERR_BUS_TIMEOUT':
      return exitCodes.timedOut;
    default:
      return status === 503 ? exitCodes.unreachable : exitCodes.failed;
  }
};

const hints: Readonly<Record<string, string>> = {
  ERR_REQUEST_UNAUTHENTICATED:
    'Pass --token or WEIR_TOKEN; set-up writes tokens to .weir/tokens.json.',
  ERR_REQUEST_FORBIDDEN: 'This needs a token with a higher role (viewer < operator < admin).',
  ERR_NOT_LEADER: 'No control process leads at the moment; try again in a few seconds.',
  ERR_POLICY_CONFLICT: 'Somebody else committed in between; look at `weir history` and try again.',
};

/** Reads server-sent events; a lone JSON line counts as one too. */
async function* eventsIn(body: ReadableStream<Uint8Array>, signal: AbortSignal) {
  let rest = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const json = /^(?:data:)?\s*(\{.*\})\s*$/.exec(line)?.[1];
        if (json) yield JSON.parse(json) as unknown;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
