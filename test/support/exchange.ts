// An exchange as filters see it, for tests of one filter alone.
import type { FilterExchange } from '#engine/filters/filter.ts';
import { createRevocations, standingRevocations } from '#engine/filters/revocations.ts';
import { type RequestFacts, requestView } from './request-view.ts';
import { rule } from './snapshot.ts';

export const exchange = (
  request: RequestFacts = {},
  facts: Partial<FilterExchange> = {},
): FilterExchange => ({
  request: requestView(request),
  requestId: 'request-1',
  rule: rule(),
  principal: undefined,
  consumer: undefined,
  groups: [],
  claims: undefined,
  setHeaders: [],
  removeHeaders: [],
  responseHeaders: [],
  removeResponseHeaders: [],
  notes: undefined,
  revocations: createRevocations(standingRevocations([]), []),
  credentials: [],
  delayMs: 0,
  hiddenQuery: undefined,
  ...facts,
});
