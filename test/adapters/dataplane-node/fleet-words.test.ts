import { describe, expect, it } from 'vitest';
import { EndpointState } from '#adapters/dataplane-node/upstream/endpoint.ts';
import { fleetWords } from '#adapters/dataplane-node/upstream/fleet-words.ts';
import { Probes } from '#adapters/dataplane-node/upstream/probes.ts';
import { RetryBudget } from '#adapters/dataplane-node/upstream/retry-budget.ts';
import { type DecisionBody, decisionId } from '#engine/model/decision.ts';
import { planeView, snapshot } from '#test/support/snapshot.ts';

const target = 'bibby/catalog/10.0.0.1:80';
const breaker = (state: 'open' | 'closed' | 'halfOpen', prober?: string): DecisionBody => ({
  type: 'breaker',
  target,
  state,
  ...(prober === undefined ? {} : { prober }),
});
const words = (decisions: readonly DecisionBody[], standing: readonly DecisionBody[] = []) =>
  fleetWords(
    planeView(
      snapshot({
        standing: standing.map((body) => ({
          id: decisionId(body),
          serial: 1,
          body,
          by: 'x',
          reason: '',
        })),
      }),
      { decisions },
    ),
    'edge-1',
  );

describe("the fleet's word", () => {
  it('keeps everybody away from an open endpoint, and all but the prober from a half-open one', () => {
    expect(words([breaker('open')]).breakers.get(target)).toBe('open');
    expect(words([breaker('halfOpen', 'edge-1')]).breakers.get(target)).toBe('probing');
    expect(words([breaker('halfOpen', 'edge-2')]).breakers.get(target)).toBe('open');
    expect(words([breaker('halfOpen')]).breakers.get(target)).toBe('open');
  });

  it('is the newest one: what was decided since the snapshot takes its place', () => {
    expect(words([], [breaker('open')]).breakers.get(target)).toBe('open');
    expect(words([breaker('closed')], [breaker('open')]).breakers.size).toBe(0);
  });

  it('about retries counts on its own edge of the call graph only', () => {
    const brake = (scope: string): DecisionBody => ({
      type: 'retry-budget',
      target: `${scope}/bibby/catalog`,
      percent: 5,
    });
    expect(words([brake('edge.public')]).retryPercents.get('bibby/catalog')).toBe(5);
    expect(words([brake('edge.other')]).retryPercents.size).toBe(0);
  });
});

describe('an endpoint on trial', () => {
  const endpoint = new EndpointState({ address: '10.0.0.1', port: 80, weight: 1 }, 0);
  const trial = () => {
    const probes = new Probes();
    endpoint.active = 0;
    probes.set([endpoint]);
    return probes;
  };

  it('gets one request at a time, and no retry', () => {
    const probes = trial();
    expect(probes.next(true, 0)).toBeUndefined();
    expect(probes.next(false, 0)).toBe(endpoint);
    endpoint.active = 1;
    expect(probes.next(false, 0)).toBeUndefined();
  });

  it('is left alone for a while after a failure, and not after a success', () => {
    const probes = trial();
    probes.report(endpoint, false, 0);
    expect(probes.next(false, 1)).toBe(endpoint);
    probes.report(endpoint, true, 1);
    probes.set([endpoint]);
    expect(probes.next(false, 4000)).toBeUndefined();
    expect(probes.next(false, 5001)).toBe(endpoint);
    probes.set([]);
    expect(probes.next(false, 9000)).toBeUndefined();
  });
});

describe('a retry budget', () => {
  const plan = { budgetPercent: 20, minRetries: 3 };

  it('is a share of what is under way, with a few always allowed', () => {
    const budget = new RetryBudget();
    for (let i = 0; i < 3; i++) {
      expect(budget.admits(plan, 1)).toBe(true);
      budget.begin();
    }
    expect(budget.admits(plan, 1)).toBe(false);
    expect(budget.admits(plan, 20)).toBe(true);
  });

  it('under a limit is a share of all requests, however few are under way', () => {
    const budget = new RetryBudget();
    budget.limit(5);
    let retries = 0;
    for (let i = 0; i < 1000; i++) {
      budget.earn();
      if (!budget.admits(plan, 1)) continue;
      budget.begin();
      budget.end();
      retries++;
    }
    expect(retries).toBe(50);
    budget.limit(undefined);
    expect(budget.admits(plan, 1)).toBe(true);
  });

  it('saves up little in quiet times', () => {
    const budget = new RetryBudget();
    budget.limit(5);
    for (let i = 0; i < 10_000; i++) budget.earn();
    let retries = 0;
    for (; budget.admits(plan, 1); retries++) {
      budget.begin();
      budget.end();
    }
    expect(retries).toBe(10);
  });
});
