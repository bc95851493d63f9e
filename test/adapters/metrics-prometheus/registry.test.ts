import { describe, expect, it } from 'vitest';
import { Registry } from '#adapters/metrics-prometheus/registry.ts';

const families = {
  requests_total: { type: 'counter', help: 'Requests.' },
  open: { type: 'gauge', help: 'Open.' },
  duration_ms: { type: 'histogram', help: 'Time.', bounds: [1, 10] },
} as const;
const lines = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(name));

describe('the registry', () => {
  it('says help and type of each family once', () => {
    expect(new Registry(families).text()).toBe(
      [
        '# HELP requests_total Requests.',
        '# TYPE requests_total counter',
        '# HELP open Open.',
        '# TYPE open gauge',
        '# HELP duration_ms Time.',
        '# TYPE duration_ms histogram',
        '',
      ].join('\n'),
    );
  });

  it('adds counters, replaces gauges', () => {
    const registry = new Registry(families);
    for (const by of [2, 3]) {
      registry.add('requests_total', by, { to: 'a' });
      registry.set('open', by);
    }
    expect(lines(registry.text(), 'requests_total')).toEqual(['requests_total{to="a"} 5']);
    expect(lines(registry.text(), 'open')).toEqual(['open 3']);
  });

  it('writes histograms with cumulative buckets', () => {
    const registry = new Registry(families);
    registry.observe('duration_ms', { counts: [1, 2, 3], sum: 60 }, { to: 'a' });
    registry.observe('duration_ms', { counts: [0, 1, 0], sum: 5 }, { to: 'a' });
    expect(lines(registry.text(), 'duration_ms')).toEqual([
      'duration_ms_bucket{to="a",le="1"} 1',
      'duration_ms_bucket{to="a",le="10"} 4',
      'duration_ms_bucket{to="a",le="+Inf"} 7',
      'duration_ms_sum{to="a"} 65',
      'duration_ms_count{to="a"} 7',
    ]);
  });

  it('escapes what callers may have chosen', () => {
    const registry = new Registry(families);
    registry.add('requests_total', 1, { to: 'a"b\\c\nd' });
    expect(lines(registry.text(), 'requests_total')).toEqual([
      'requests_total{to="a\\"b\\\\c\\nd"} 1',
    ]);
  });

  it('counts in one series what is beyond its bound', () => {
    const registry = new Registry(families, 2);
    for (const to of ['a', 'b', 'c', 'd', 'a']) registry.add('requests_total', 1, { to });
    expect(lines(registry.text(), 'requests_total')).toEqual([
      'requests_total{to="a"} 2',
      'requests_total{to="b"} 1',
      'requests_total{to="overflow"} 2',
    ]);
  });
});
