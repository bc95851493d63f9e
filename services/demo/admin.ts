// The few questions that the demo asks control.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ApplyAnswer,
  type ApplyRequest,
  type ErrorAnswer,
  type FleetAnswer,
  type Operation,
  operations,
  type RolloutAnswer,
} from '#engine/model/api.ts';
import type { Explanation } from '#engine/pipeline/explain.ts';

export interface Admin {
  apply(request: ApplyRequest): Promise<ApplyAnswer>;
  fleet(): Promise<FleetAnswer>;
  rollouts(): Promise<RolloutAnswer>;
  /** Whether the policy in force would send a GET to a service that has somebody to answer it. */
  isServed(url: string): Promise<boolean>;
  rollout(
    verb: 'abort' | 'retry' | 'start',
    request: { namespace: string; name: string; version?: string; reason?: string },
  ): Promise<RolloutAnswer>;
}

/** The address is read anew each time: control may have been started again elsewhere. */
export const createAdmin = (home: string): Admin => {
  const ask = async (operation: Operation, body?: object): Promise<unknown> => {
    const { url } = readJson(join(home, 'control.json')) as { url: string };
    const { tokens } = readJson(join(home, 'tokens.json')) as {
      tokens: { role: string; token: string }[];
    };
    const token = tokens.find(({ role }) => role === 'admin')?.token ?? '';
    const { method, path } = operations[operation];
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
      signal: AbortSignal.timeout(60_000),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer;
    const { error } = answer as Partial<ErrorAnswer>;
    throw new Error(`${operation}: ${error?.code ?? response.status} ${error?.message ?? ''}`);
  };
  return {
    apply: async (request) => (await ask('policy.apply', request)) as ApplyAnswer,
    fleet: async () => (await ask('fleet.status')) as FleetAnswer,
    rollouts: async () => (await ask('rollout.status')) as RolloutAnswer,
    isServed: async (url) => {
      const { outcome } = (await ask('policy.explain', { url })) as Explanation;
      return outcome.type === 'forward';
    },
    rollout: async (verb, request) => (await ask(`rollout.${verb}`, request)) as RolloutAnswer,
  };
};

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
