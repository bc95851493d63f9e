import type { Exchange } from '../pipeline/exchange.ts';

/** What is noted under one key twice is told twice. */
export const note = (exchange: Pick<Exchange, 'notes'>, key: string, text: string): void => {
  exchange.notes ??= {};
  const before = exchange.notes[key];
  exchange.notes[key] = before === undefined ? text : `${before}; ${text}`;
};
