// When a rollout may take a step: inside a window, and outside every freeze.
import type { SchedulePlan } from '../model/rollout-plan.ts';

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** Why not now, in words; undefined when the time is right. */
export const closedReason = (schedule: SchedulePlan, nowMs: number): string | undefined => {
  const { windows, freezes, timezone } = schedule;
  const freeze = freezes.find(({ fromMs, toMs }) => fromMs <= nowMs && nowMs < toMs);
  if (freeze) {
    const why = freeze.reason === undefined ? '' : `: ${freeze.reason}`;
    return `frozen until ${localMoment(freeze.toMs, timezone)} ${timezone}${why}`;
  }
  if (windows.length === 0) return undefined;
  const local = localTime(nowMs, timezone);
  return windows.some((window) => contains(window, local))
    ? undefined
    : `outside its windows (${windows.map(describe).join('; ')} ${timezone})`;
};

type Window = SchedulePlan['windows'][number];

interface Local {
  readonly day: number;
  readonly minute: number;
}

/** A window that ends before it begins goes on after midnight and belongs to the day on which it began. */
const contains = ({ days, from, to }: Window, { day, minute }: Local): boolean => {
  const isDay = (at: number): boolean => days.includes(weekdays[(at + 7) % 7] ?? 'Sun');
  const [begin, end] = [minutes(from), minutes(to)];
  if (begin < end) return isDay(day) && begin <= minute && minute < end;
  return (isDay(day) && minute >= begin) || (isDay(day - 1) && minute < end);
};

const minutes = (text: string): number => {
  const [hour = 0, minute = 0] = text.split(':').map(Number);
  return hour * 60 + minute;
};

const describe = ({ days, from, to }: Window): string => `${days.join(', ')} ${from}-${to}`;

const localTime = (nowMs: number, timezone: string): Local => {
  const parts = partsOf(nowMs, timezone);
  return {
    day: weekdays.findIndex((name) => name === parts['weekday']),
    minute: Number(parts['hour']) * 60 + Number(parts['minute']),
  };
};

const localMoment = (atMs: number, timezone: string): string => {
  const { year, month, day, hour, minute } = partsOf(atMs, timezone);
  return `${year}-${month}-${day} ${hour}:${minute}`;
};

const partsOf = (atMs: number, timeZone: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
      .formatToParts(atMs)
      .map(({ type, value }) => [type, value]),
  );
