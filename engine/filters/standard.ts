// Every built-in filter, in the order in which requests meet them (DESIGN.md section 5).
import { fault } from './fault/fault.ts';
import type { FilterKind } from './filter.ts';
import { headers } from './headers/headers.ts';

export const standardFilters: readonly FilterKind[] = [fault, headers];
