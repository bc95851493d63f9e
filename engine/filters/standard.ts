// Every built-in filter, in the order in which requests meet them (DESIGN.md section 5).
import { authentication } from './authentication/authentication.ts';
import { cors } from './cors/cors.ts';
import { envelope } from './envelope/envelope.ts';
import { fault } from './fault/fault.ts';
import type { FilterKind } from './filter.ts';
import { headers } from './headers/headers.ts';

export const standardFilters: readonly FilterKind[] = [
  cors, // first: a preflight has no credentials and costs no quota
  authentication,
  fault, // only callers who would be served
  headers,
  envelope,
];
