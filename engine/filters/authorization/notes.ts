import type { FilterExchange } from '../filter.ts';

/** What is noted under one key twice is told twice. */
export const note = (exchange: FilterExchange, key: string, text: string): void => {
  exchange.notes ??= {};
  const before = exchange.notes[key];
  exchange.notes[key] = before === undefined ? text : `${before}; ${text}`;
};
