import { afterEach, describe, expect, it } from 'vitest';
import type { ValueSeries } from '#engine/model/telemetry.ts';
import type { WebRequest } from '#engine/ports/web.ts';
import { type FakeWeb, fakeWeb } from '#test/support/fake-web.ts';
import { all, bibby, rollout } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { catalog, World } from './world.ts';

const SERVICE = 'bibby/catalog-service';
let world: World;
let edge: FakeAgent;
afterEach(() => {
  worth = {};
  return world.stop();
});

/** What an order is worth by version, if answers say it. */
let worth: Readonly<Record<string, number>> = {};

const traffic = () => {
  const canary = Math.round((400 * (edge.weight(SERVICE, 'v1.1') ?? 0)) / 10_000);
  const arms = [['v1.0', 400 - canary] as const, ['v1.1', canary] as const];
  edge.sample(
    arms.map(([version, requests]) => ({
      rule: 'bibby/catalog/0',
      service: SERVICE,
      version,
      source: 'unknown',
      requests,
      errors: 0,
      statuses: { 200: requests },
      flags: {},
      latency: { zero: 0, buckets: requests > 0 ? [40, requests] : [], sum: requests * 33 },
      requestBytes: 0,
      responseBytes: 0,
      retries: 0,
    })),
    undefined,
    arms.flatMap(([version, count]) => {
      const each = worth[version];
      return each === undefined || count === 0 ? [] : [valuesOf(version, count, each)];
    }),
  );
};

/** Half of the orders are half as large again, half are half as large. */
const valuesOf = (version: string, count: number, each: number): ValueSeries => ({
  service: SERVICE,
  version,
  metric: 'orders',
  count,
  sum: count * each,
  squares: count * 1.25 * each ** 2,
});

const ship = async (metrics: string, web?: FakeWeb): Promise<void> => {
  world = new World();
  await world.start('control-1', web ? { web } : {});
  await world.apply(all(bibby, rollout(metrics)));
  edge = await world.agent('edge-1', 'edge.public');
  await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
  await world.seconds(5, traffic);
  await world.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
  await world.seconds(1, traffic);
};

const untilState = async (state: string, limit = 90): Promise<void> => {
  for (let second = 0; second < limit; second += 1) {
    if ((await world.rollout()).state === state) return;
    await world.seconds(1, traffic);
  }
  throw new Error(`not ${state} but ${JSON.stringify(await world.rollout())}`);
};

const bounced = `  metrics:
    - name: bounced
      prometheus:
        url: http://prometheus:9090/
        query: sum(rate(bounced_total{service="{{service}}",version="{{version}}"}[{{interval}}]))
      maxRatio: 1.5
      interval: 2s
      failureLimit: 1
`;

const vector = (...values: string[]) => ({
  status: 'success',
  data: {
    resultType: 'vector',
    result: values.map((value) => ({ metric: {}, value: [1_800_000_000.1, value] })),
  },
});

const queryOf = ({ url }: WebRequest): string => new URL(url).searchParams.get('query') ?? '';

describe('a metric of a rollout', () => {
  it('is asked of Prometheus for both versions, and a bad one goes, with the numbers as the reason', async () => {
    const web = fakeWeb((request) => vector(queryOf(request).includes('v1.1') ? '0.31' : '0.2'));
    await ship(bounced, web);
    await untilState('failed');
    expect((await world.rollout()).reason).toMatch(
      /^metric "bounced" is 0.31, above 1.5 times the 0.2 of v1.0 \(2 times in a row\)/,
    );
    expect(edge.weight(SERVICE, 'v1.1')).toBe(0);
    const [first] = web.asked;
    expect(first?.url).toMatch(/^http:\/\/prometheus:9090\/api\/v1\/query\?query=/);
    expect(web.asked.map(queryOf)).toContain(
      'sum(rate(bounced_total{service="catalog-service",version="v1.1"}[2s]))',
    );
    // Nobody is asked once the rollout is over.
    const { length } = web.asked;
    await world.seconds(10, traffic);
    expect(web.asked).toHaveLength(length);
  });

  it('is asked for also where the new version is met beside the weights', async () => {
    const web = fakeWeb(() => vector('0.2'));
    await ship(`  strategy: ab\n  cohort: { header: x-tester, value: yes }\n${bounced}`, web);
    await world.seconds(5, traffic);
    expect(await world.rollout()).toMatchObject({ state: 'progressing', weight: 0 });
    expect(web.asked.length).toBeGreaterThan(0);
  });

  it('lets a good version through', async () => {
    await ship(
      bounced,
      fakeWeb(() => vector('0.2')),
    );
    await untilState('succeeded');
    expect((await world.rollout()).evidence?.readings).toMatchObject([
      { metric: 'bounced', value: 0.2, baseline: 0.2, outcome: 'good' },
    ]);
  });

  it.each([
    ['no series', () => vector(), 'has no value'],
    ['NaN', () => vector('NaN'), 'has no value'],
    ['several series', () => vector('1', '2'), 'answered 2 series where one number is asked for'],
    ['an error', () => ({ status: 503, body: '' }), 'answered 503'],
    ['no JSON', () => ({ status: 200, body: '<html>' }), 'answered no JSON'],
    ['nobody', () => new Error('connection refused'), 'could not be measured: connection refused'],
  ])('that is %s holds the new version where it is', async (_, answer, words) => {
    await ship(bounced, fakeWeb(answer));
    await world.seconds(40, traffic);
    const { state, weight, reason } = await world.rollout();
    expect({ state, weight }).toEqual({ state: 'progressing', weight: 10 });
    expect(reason).toContain('holding, metric "bounced"');
    expect(reason).toContain(words);
  });

  it('may be any JSON over HTTP, or an answer on the bus', async () => {
    const metrics = `  metrics:
    - name: cart
      http: { url: "http://shop/cart?version={{version}}" }
      min: 2
      interval: 2s
    - name: loans
      nats: { subject: loans.rate }
      max: 5
      interval: 2s
      failureLimit: 0
`;
    const web = fakeWeb(() => ({ value: 2.5 }));
    const asked: unknown[] = [];
    let loans = 4;
    await ship(metrics, web);
    const served = world.hub
      .connect('shop')
      .bus.serve('weir.default.metric.loans.rate', 'shop', async ({ data }) => {
        asked.push(JSON.parse(new TextDecoder().decode(data)));
        return new TextEncoder().encode(JSON.stringify({ value: loans }));
      });
    await world.seconds(6, traffic);
    expect(web.asked[0]?.url).toBe('http://shop/cart?version=v1.1');
    expect(asked[0]).toEqual({
      v: 1,
      namespace: 'bibby',
      service: 'catalog-service',
      version: 'v1.1',
      baseline: 'v1.0',
      canary: 'v1.1',
      interval: '2s',
    });
    loans = 6;
    await untilState('failed');
    expect((await world.rollout()).reason).toMatch(/^metric "loans" is 6, above its max 5/);
    served.close();
  });
});

const orders = `  metrics:
    - name: orders
      response: { header: X-Order-Value, from: 0, to: 500, strip: true }
      minRatio: 0.9
`;

describe('a metric that answers carry', () => {
  it('is asked of the data planes in the snapshot', async () => {
    await ship(orders);
    expect(edge.snapshot?.upstreams[`${SERVICE}@v1.1`]?.measures).toEqual([
      {
        metric: 'orders',
        part: 'header',
        name: 'x-order-value',
        from: 0,
        to: 500,
        strip: true,
      },
    ]);
  });

  it('takes a version back that earns less, and names it', async () => {
    worth = { 'v1.0': 50, 'v1.1': 30 };
    await ship(orders);
    await untilState('failed');
    expect((await world.rollout()).reason).toMatch(
      /^worse than allowed in metric "orders", mean 30 of \d+ values against 50 of v1.0/,
    );
    expect(edge.weight(SERVICE, 'v1.1')).toBe(0);
  });

  it('promotes one that earns as much', async () => {
    worth = { 'v1.0': 50, 'v1.1': 50 };
    await ship(orders);
    await untilState('succeeded', 300);
    expect((await world.rollout()).evidence?.readings).toMatchObject([
      { metric: 'orders', value: 50, baseline: 50, outcome: 'good' },
    ]);
  });

  it('holds a version whose answers do not carry it', async () => {
    worth = { 'v1.0': 50 };
    await ship(orders);
    await world.seconds(40, traffic);
    const { state, weight, reason } = await world.rollout();
    expect({ state, weight }).toEqual({ state: 'progressing', weight: 10 });
    expect(reason).toContain('no answer of v1.1 has carried one');
  });
});
