import { describe, expect, it } from 'vitest';
import { checkMetrics } from '#engine/compile/checks/check-rollout-metrics.ts';

type Metric = Parameters<typeof checkMetrics>[0][number];

const metric = (changes: Partial<Metric>): Metric => ({
  name: 'cart',
  interval: '10s',
  timeout: '5s',
  failureLimit: 2,
  ...changes,
});
const http = { url: 'http://shop/cart' };

describe("a rollout's metric", () => {
  it.each<readonly [string, Partial<Metric>, string]>([
    ['has one source', { max: 1 }, 'one of prometheus, http, nats is needed here'],
    [
      'has no second source',
      { max: 1, http, nats: { subject: 'cart' } },
      'http and nats exclude each other',
    ],
    ['has a bound', { http }, 'no value of this metric would be bad'],
    ['has bounds in order', { http, min: 2, max: 1 }, 'max is below min'],
    [
      'names what there is',
      { max: 1, prometheus: { url: 'http://p', query: 'x{v="{{ver}}"}' } },
      '{{ver}} means nothing here',
    ],
  ])('%s', (_, changes, message) => {
    expect(checkMetrics([metric(changes)]).map((finding) => finding.message)).toEqual([message]);
  });

  it('has a name of its own', () => {
    const one = metric({ http: { url: 'http://shop/{{ service }}/{{version}}' }, minRatio: 0.9 });
    expect(checkMetrics([one])).toEqual([]);
    expect(checkMetrics([one, one]).map(({ code }) => code)).toEqual(['ERR_RESOURCE_DUPLICATE']);
  });
});
