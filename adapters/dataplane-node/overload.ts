// Sheds load by chance, the more the later the event loop is, so that what is admitted is still served in time.
import type { Random } from '#engine/ports/clock.ts';

/** Below this standing lag everybody is admitted; at the upper one almost nobody. */
const LAG_MS = 100;
const LIMIT_MS = 500;

export const isLate = (standingLagMs: number, random: Random): boolean =>
  standingLagMs > LAG_MS &&
  random() < Math.min(0.95, (standingLagMs - LAG_MS) / (LIMIT_MS - LAG_MS));
