const MOMENT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** RFC 3339 to milliseconds since 1970; undefined if it is no such moment. */
export const parseMoment = (text: string): number | undefined => {
  const parts = MOMENT.exec(text);
  if (!parts) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map(Number);
  const fraction = Number(`0.${parts[7] ?? 0}`);
  if (!isDay(year, month, day) || hour > 23 || minute > 59 || second > 60) return undefined;
  const minutes =
    (daysSince1970(year, month, day) * 24 + hour) * 60 + minute - offsetMinutes(parts[8] ?? 'Z');
  return minutes * 60_000 + second * 1000 + Math.floor(fraction * 1000);
};

const offsetMinutes = (zone: string): number => {
  if (zone === 'Z') return 0;
  const size = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  return zone.startsWith('-') ? -size : size;
};

const isDay = (year: number, month: number, day: number): boolean => {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return day >= 1 && day <= (lengths[month - 1] ?? 0);
};

const DAYS_TO_1970 = 719_468;

/** In years that begin in March the leap day is the last of its year. */
const daysSince1970 = (year: number, month: number, day: number): number => {
  const y = month > 2 ? year : year - 1;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return y * 365 + leapDays + dayOfYear - DAYS_TO_1970;
};
