import { describe, expect, it } from 'vitest';
import type { Denial, Sample } from '#engine/model/telemetry.ts';
import { Denials } from '#services/control/denials.ts';

const sample = (...denials: readonly Denial[]): Sample => ({
  v: 1,
  type: 'sample',
  agent: 'edge-1',
  scope: 'edge.public',
  incarnation: 'i',
  sequence: 1,
  startMs: 0,
  spanMs: 1000,
  reporter: 'source',
  revision: 8,
  series: [],
  denials,
});
const refused = (policy: string, rule: string, requests: number): Denial => ({
  policy,
  rule,
  requests,
});

describe('denials', () => {
  it('are told together, once in ten seconds', () => {
    const denials = new Denials();
    denials.add(sample(refused('Authorization/a/x', '0', 2)), 1000);
    denials.add(sample(refused('Authorization/a/x', '0', 3), refused('q', '', 1)), 2000);
    expect(denials.take(10_999)).toEqual([]);
    expect(denials.take(11_000)).toEqual([
      {
        type: 'access.denied',
        subject: 'edge.public',
        data: {
          scope: 'edge.public',
          revision: 8,
          spanMs: 10_000,
          denials: [
            { policy: 'Authorization/a/x', rule: 0, requests: 5 },
            { policy: 'q', requests: 1 },
          ],
        },
      },
    ]);
    expect(denials.take(60_000)).toEqual([]);
  });

  it('of very many policies are told as the most frequent ones and a number', () => {
    const denials = new Denials();
    for (let i = 0; i < 1500; i += 1) denials.add(sample(refused(`p${i}`, '', i < 3 ? 5 : 1)), 0);
    const [told] = denials.take(10_000);
    expect(told?.data['denials']).toHaveLength(20);
    expect(told?.data['denials']).toContainEqual({ policy: 'p2', requests: 5 });
    expect(told?.data['others']).toBe(1480);
  });

  it('that were only rehearsed are told on their own', () => {
    const denials = new Denials();
    const says = 'Authorization/a/x rule 0 would deny';
    denials.add({ ...sample(), audits: [{ says, requests: 2 }] }, 0);
    denials.add({ ...sample(), audits: [{ says, requests: 1 }] }, 1000);
    expect(denials.take(10_000)).toMatchObject([
      { type: 'access.audited', subject: 'edge.public', data: { audits: [{ says, requests: 3 }] } },
    ]);
  });

  it('of a term that is over are not told', () => {
    const denials = new Denials();
    denials.add(sample(refused('p', '', 1)), 0);
    denials.clear();
    expect(denials.take(60_000)).toEqual([]);
  });
});
