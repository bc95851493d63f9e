import { describe, expect, it } from 'vitest';
import { closedReason } from '#engine/machines/rollout-schedule.ts';
import { parseMoment } from '#engine/model/moment.ts';
import type { SchedulePlan } from '#engine/model/rollout-plan.ts';

const office = { days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri'], from: '09:00', to: '17:00' };
const at = (text: string): number => parseMoment(text) ?? Number.NaN;
const reason = (moment: string, schedule: Partial<SchedulePlan>) =>
  closedReason({ timezone: 'UTC', windows: [], freezes: [], ...schedule }, at(moment));

describe('a schedule', () => {
  it('without windows is always open', () => {
    expect(reason('2026-11-22T03:00:00Z', {})).toBeUndefined();
  });

  // 2026-11-20 is a Friday.
  it.each([
    ['2026-11-20T08:59:00Z', false],
    ['2026-11-20T09:00:00Z', true],
    ['2026-11-20T16:59:59Z', true],
    ['2026-11-20T17:00:00Z', false],
    ['2026-11-21T12:00:00Z', false],
    ['2026-11-23T12:00:00Z', true],
  ])('of office hours at %s is open: %s', (moment, isOpen) => {
    expect(reason(moment, { windows: [office] }) === undefined).toBe(isOpen);
  });

  it('goes by the local time, summer time included', () => {
    const berlin = { timezone: 'Europe/Berlin', windows: [office] };
    expect(reason('2026-07-20T07:00:00Z', berlin)).toBeUndefined();
    expect(reason('2026-11-20T07:30:00Z', berlin)).toMatch(/outside its windows .*Europe\/Berlin/);
  });

  it('of a night belongs to the day on which it began', () => {
    const night = { windows: [{ days: ['Fri'], from: '22:00', to: '06:00' }] };
    expect(reason('2026-11-20T23:00:00Z', night)).toBeUndefined();
    expect(reason('2026-11-21T05:59:00Z', night)).toBeUndefined();
    expect(reason('2026-11-21T06:00:00Z', night)).toBeDefined();
    expect(reason('2026-11-20T05:00:00Z', night)).toBeDefined();
  });

  it('of a whole day ends at midnight', () => {
    const day = { windows: [{ days: ['Sat'], from: '00:00', to: '24:00' }] };
    expect(reason('2026-11-21T00:00:00Z', day)).toBeUndefined();
    expect(reason('2026-11-21T23:59:00Z', day)).toBeUndefined();
    expect(reason('2026-11-22T00:00:00Z', day)).toBeDefined();
  });

  it('is closed in a freeze, whatever the windows say', () => {
    const freezes = [
      { fromMs: at('2026-12-18T00:00:00Z'), toMs: at('2027-01-04T08:00:00Z'), reason: 'holidays' },
    ];
    const everyDay = { days: [...office.days, 'Sat', 'Sun'], from: '00:00', to: '24:00' };
    expect(reason('2026-12-20T12:00:00Z', { windows: [everyDay], freezes })).toBe(
      'frozen until 2027-01-04 08:00 UTC: holidays',
    );
    expect(reason('2027-01-04T08:00:00Z', { windows: [everyDay], freezes })).toBeUndefined();
  });
});
