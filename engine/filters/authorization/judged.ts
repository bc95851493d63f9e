// What authorization looks at, and where it writes down what it found: a request, or a connection that stands for one.
import type { FilterExchange } from '../filter.ts';

export type Judged = Pick<
  FilterExchange,
  'request' | 'principal' | 'consumer' | 'groups' | 'claims' | 'notes'
>;
