// What browsers get to see on the way in and out. Nothing of it may be kept by a cache.
import type { Respond } from '../../../pipeline/exchange.ts';
import type { Answer } from '../identity.ts';

const fresh = ['cache-control', 'no-store', 'referrer-policy', 'no-referrer'] as const;

export const redirectTo = (location: string, cookies: readonly string[]): Respond => ({
  type: 'respond',
  status: 302,
  error: '',
  reason: '',
  flag: '',
  headers: ['location', location, ...fresh, ...cookies.flatMap((each) => ['set-cookie', each])],
  body: '',
});

const errors = {
  400: 'Bad Request',
  401: 'Unauthorized',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
} as const;

export interface Refusal {
  readonly status: keyof typeof errors;
  readonly reason: string;
  /** For the log, not for the caller. */
  readonly cause?: string;
}

export const refusalAnswer = (
  { status, reason, cause }: Refusal,
  cookies: readonly string[] = [],
): Answer => ({
  type: 'answer',
  respond: {
    type: 'respond',
    status,
    error: errors[status],
    reason,
    flag: status === 503 ? 'UO' : 'UAEX',
    headers: [...fresh, ...cookies.flatMap((each) => ['set-cookie', each])],
  },
  note: cause === undefined ? reason : `${reason}: ${cause}`,
});
