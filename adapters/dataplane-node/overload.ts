// Sheds load by chance, the more the later the event loop is, so that what is admitted is still served in time.
import type { Random } from '#engine/ports/clock.ts';

/** Below this lag everybody is admitted; at the upper one almost nobody. */
const LAG_MS = 150;
const LIMIT_MS = 600;

export const isLate = (lagMs: number, random: Random): boolean =>
  lagMs > LAG_MS && random() < Math.min(0.95, (lagMs - LAG_MS) / (LIMIT_MS - LAG_MS));
