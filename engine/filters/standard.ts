// Every built-in filter, in the order in which requests meet them (DESIGN.md section 5).
import { authentication } from './authentication/authentication.ts';
import { addressRules, authorization } from './authorization/authorization.ts';
import { cors } from './cors/cors.ts';
import { envelope } from './envelope/envelope.ts';
import { fault } from './fault/fault.ts';
import type { FilterKind } from './filter.ts';
import { headers } from './headers/headers.ts';
import { addressQuota, callerQuota } from './quota/quota.ts';

export const standardFilters: readonly FilterKind[] = [
  cors, // first: a preflight has no credentials and costs no quota
  addressRules, // the cheapest refusal
  addressQuota, // before any signature is checked, so that guessing tokens is limited too
  authentication,
  authorization,
  callerQuota, // needs a caller, and counts only what was admitted
  fault, // hits only callers who would have been served
  headers,
  envelope,
];
