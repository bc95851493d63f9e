import type { Judged } from './judged.ts';

/** What is noted under one key twice is told twice. */
export const note = (exchange: Judged, key: string, text: string): void => {
  exchange.notes ??= {};
  const before = exchange.notes[key];
  exchange.notes[key] = before === undefined ? text : `${before}; ${text}`;
};
