// The arithmetic of one limit. Windows start at multiples of their length since 1970, so they follow the calendar.
//
// fixed: so many requests per window. sliding: the previous window counts too, by the share of it that the last
// `windowMs` still cover, so a burst across a window's edge gets no double helping.

export type Algorithm = 'sliding' | 'fixed';

export interface Limit {
  readonly requests: number;
  readonly windowMs: number;
}

export interface Counter {
  startMs: number;
  current: number;
  previous: number;
}

export const newCounter = (): Counter => ({ startMs: 0, current: 0, previous: 0 });

/** Brings the counter to the window that `nowMs` is in. */
export const advance = (counter: Counter, { windowMs }: Limit, nowMs: number): void => {
  const startMs = nowMs - (nowMs % windowMs);
  if (startMs === counter.startMs) return;
  counter.previous = startMs - counter.startMs === windowMs ? counter.current : 0;
  counter.current = 0;
  counter.startMs = startMs;
};

/** How many more requests this instant admits. The counter has been advanced. */
export const remaining = (
  counter: Counter,
  limit: Limit,
  algorithm: Algorithm,
  nowMs: number,
): number => {
  const left = limit.requests - counter.current - weighted(counter, limit, algorithm, nowMs);
  return Math.max(0, Math.floor(left + ROUNDING));
};

/** A share like 0.1 + 0.2 must not cost a request. */
const ROUNDING = 1e-9;

const weighted = (
  { previous, startMs }: Counter,
  { windowMs }: Limit,
  algorithm: Algorithm,
  nowMs: number,
): number =>
  algorithm === 'fixed' || previous === 0
    ? 0
    : previous * ((windowMs - (nowMs - startMs)) / windowMs);

/** Milliseconds until one more request is admitted if none comes in between; 0 if one is now. */
export const waitMs = (
  counter: Counter,
  limit: Limit,
  algorithm: Algorithm,
  nowMs: number,
): number => {
  if (remaining(counter, limit, algorithm, nowMs) >= 1) return 0;
  const elapsed = nowMs - counter.startMs;
  const toNextWindow = limit.windowMs - elapsed;
  if (algorithm === 'fixed') return toNextWindow;
  const room = limit.requests - 1 - counter.current;
  if (room >= 0) return timeUntil(counter.previous, room, limit.windowMs) - elapsed;
  return toNextWindow + timeUntil(counter.current, limit.requests - 1, limit.windowMs);
};

/** When, since the start of the window, so many requests of the one before weigh no more than `room`. */
const timeUntil = (previous: number, room: number, windowMs: number): number =>
  previous <= room ? 0 : Math.ceil((windowMs * (previous - room)) / previous);

/** Nothing in it counts any more. */
export const isIdle = (counter: Counter, { windowMs }: Limit, nowMs: number): boolean =>
  nowMs - counter.startMs >= 2 * windowMs;
