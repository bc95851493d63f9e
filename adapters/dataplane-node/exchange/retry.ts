// When a try is worth repeating. Names of the conditions are Envoy's.
import type { RetryPlan } from '#engine/model/snapshot.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { TryFailure } from './failures.ts';

/** Repeating these changes nothing (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'PROPFIND']);

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

const GRPC_CONDITIONS = [
  ['cancelled', '1'],
  ['deadline-exceeded', '4'],
  ['resource-exhausted', '8'],
  ['internal', '13'],
  ['unavailable', '14'],
] as const;

interface Conditions {
  readonly connect: boolean;
  readonly reset: boolean;
  readonly refused: boolean;
  /** By status; 0 where not. */
  readonly statuses: Uint8Array;
  /** By value of the response's grpc-status. */
  readonly grpcStatuses: ReadonlySet<string>;
}

const compiled = new WeakMap<RetryPlan, Conditions>();

const compile = (plan: RetryPlan): Conditions => {
  const on = new Set(plan.on);
  const statuses = new Uint8Array(1000);
  if (on.has('5xx')) statuses.fill(1, 500, 600);
  if (on.has('gateway-error')) statuses.fill(1, 502, 505);
  if (on.has('retriable-4xx')) statuses[409] = 1;
  for (const each of on) if (/^[1-5][0-9][0-9]$/.test(each)) statuses[Number(each)] = 1;
  const grpcStatuses = new Set<string>();
  for (const [name, code] of GRPC_CONDITIONS) if (on.has(name)) grpcStatuses.add(code);
  return {
    connect: on.has('connect-failure') || on.has('5xx'),
    reset: on.has('reset') || on.has('5xx'),
    refused: on.has('refused-stream') || on.has('reset') || on.has('5xx'),
    statuses,
    grpcStatuses,
  };
};

const conditionsOf = (plan: RetryPlan): Conditions => {
  let conditions = compiled.get(plan);
  if (!conditions) compiled.set(plan, (conditions = compile(plan)));
  return conditions;
};

/** Nothing was looked at when no connection came about or the stream was refused, so even a POST may be tried elsewhere. */
export const retriesFailure = (plan: RetryPlan, failure: TryFailure, method: string): boolean => {
  const conditions = conditionsOf(plan);
  if (failure === 'connect' || failure === 'connect-timeout') return conditions.connect;
  if (failure === 'refused') return conditions.refused;
  if (failure !== 'reset' && failure !== 'partial' && failure !== 'timeout') return false;
  return conditions.reset && isIdempotent(method);
};

/** `isRepeatable`: idempotent, or a call of gRPC, whose conditions policy names one by one. */
export const retriesResponse = (
  plan: RetryPlan,
  head: ResponseHead,
  isRepeatable: boolean,
): boolean => {
  if (!isRepeatable) return false;
  const conditions = conditionsOf(plan);
  if (conditions.statuses[head.status] === 1) return true;
  if (conditions.grpcStatuses.size === 0) return false;
  const grpcStatus = head.header('grpc-status');
  return grpcStatus !== undefined && conditions.grpcStatuses.has(grpcStatus);
};

/** Full jitter over a doubling pause, at most ten times the first. `retry` counts from 1. */
export const backoffMs = (plan: RetryPlan, retry: number, random: () => number): number =>
  random() * Math.min(plan.backoffMs * 2 ** (retry - 1), plan.backoffMs * 10);

/** Whole seconds only; 0 when the answer does not say. */
export const retryAfterMs = (head: ResponseHead): number => {
  const value = head.header('retry-after');
  return value !== undefined && /^[0-9]{1,6}$/.test(value) ? Number(value) * 1000 : 0;
};
