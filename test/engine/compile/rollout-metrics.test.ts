import { describe, expect, it } from 'vitest';
import { checkMetrics } from '#engine/compile/checks/check-rollout-metrics.ts';
import type { Feature } from '#engine/model/features.ts';
import { compileFiles } from '#test/golden/surroundings.ts';

const documents = `
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec: { listeners: [{ name: http, port: 8080 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  port: 8080
  versions:
    - { name: v1.0, labels: { version: v1.0 } }
    - { name: v1.1, labels: { version: v1.1 } }
  endpoints: [{ address: 127.0.0.1, labels: { version: v1.0 } }]
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog, namespace: bibby }
spec:
  parentRefs: [{ kind: Gateway, name: public }]
  hosts: [api.bibby.com]
  rules: [{ backends: [{ service: catalog-service }] }]
---
apiVersion: weir.dev/v1
kind: Rollout
metadata: { name: catalog, namespace: bibby }
spec:
  service: catalog-service
  metrics:
    - name: orders
      response: { trailer: X-Order-Value, from: 0, to: 500 }
      minRatio: 0.9
`;

const compiled = (capabilities: readonly Feature[]) =>
  compileFiles([{ file: 'policy.yaml', text: documents }], {
    workloads: [],
    capabilities: new Set<Feature>(['http', 'split', ...capabilities]),
  });

type Metric = Parameters<typeof checkMetrics>[0][number];

const metric = (changes: Partial<Metric>): Metric => ({
  name: 'cart',
  interval: '10s',
  timeout: '5s',
  failureLimit: 2,
  ...changes,
});
const response = { header: 'x-value', from: 0, to: 10, strip: false };
const http = { url: 'http://shop/cart' };

describe("a rollout's metric", () => {
  it.each<readonly [string, Partial<Metric>, string]>([
    ['has one source', { max: 1 }, 'one of prometheus, http, nats, response is needed here'],
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
    [
      'is read from one place',
      { max: 1, response: { ...response, trailer: 'x-value' } },
      'header and trailer exclude each other',
    ],
    ['has a range', { max: 1, response: { ...response, from: 5, to: 5 } }, 'to is not above from'],
    [
      'has bounds inside of the range',
      { max: 50, response },
      'max is not inside of the range 0 to 10',
    ],
    [
      'has no ratio of what may be negative',
      { minRatio: 0.9, response: { ...response, from: -1 } },
      'a mean that may be negative has no ratio',
    ],
    [
      'is not what frames an answer',
      { max: 1, response: { ...response, header: 'Content-Length' } },
      'Content-Length carries no metric',
    ],
  ])('%s', (_, changes, message) => {
    expect(checkMetrics([metric(changes)]).map((finding) => finding.message)).toEqual([message]);
  });

  it('is read where the service is called, by who can', () => {
    const { diagnostics, snapshots } = compiled(['response-metrics']).compiled;
    expect(diagnostics).toEqual([]);
    const upstreams = snapshots.get('edge.public')?.upstreams ?? {};
    expect(Object.values(upstreams).map(({ measures }) => measures)).toEqual(
      Array(2).fill([
        {
          metric: 'orders',
          part: 'trailer',
          name: 'x-order-value',
          from: 0,
          to: 500,
          strip: false,
        },
      ]),
    );
    expect(compiled([]).compiled.diagnostics).toMatchObject([
      { code: 'ERR_POLICY_NOT_SUPPORTED', resource: 'Rollout/bibby/catalog' },
    ]);
  });

  it('has a name of its own', () => {
    const one = metric({ http: { url: 'http://shop/{{ service }}/{{version}}' }, minRatio: 0.9 });
    expect(checkMetrics([one])).toEqual([]);
    expect(checkMetrics([one, one]).map(({ code }) => code)).toEqual(['ERR_RESOURCE_DUPLICATE']);
  });
});
