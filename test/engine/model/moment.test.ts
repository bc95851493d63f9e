import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMoment } from '#engine/model/moment.ts';

describe('moments', () => {
  it('are those of the calendar, for every millisecond of four centuries', () => {
    const range = { min: new Date('1900-01-01'), max: new Date('2300-01-01'), noInvalidDate: true };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(parseMoment(date.toISOString())).toBe(date.getTime());
      }),
    );
  });

  it('may have another time zone', () => {
    expect(parseMoment('2030-06-01T12:00:00+02:00')).toBe(Date.parse('2030-06-01T10:00:00Z'));
    expect(parseMoment('2030-06-01T12:00:00-05:30')).toBe(Date.parse('2030-06-01T17:30:00Z'));
  });

  it.each([
    '',
    '2030-06-01',
    '2030-02-30T00:00:00Z',
    '2030-13-01T00:00:00Z',
    '2030-01-01T24:00:00Z',
  ])('%j is none', (text) => {
    expect(parseMoment(text)).toBeUndefined();
  });
});
