// What docs/canary.md shows as a policy is one.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compile } from '#engine/compile/compile.ts';
import type { ResourceId } from '#engine/model/resource.ts';

const text = readFileSync(new URL('../../../docs/canary.md', import.meta.url), 'utf8');
const snippets = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) => yaml);

const service = `apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  port: 9001
  versions:
    - { name: v1.0, labels: { version: v1.0 } }
    - { name: v1.1, labels: { version: v1.1 } }
`;

describe('docs/canary.md', () => {
  const plansOf = (snippet: string | undefined) => {
    const sources = new Map<ResourceId, { file: string; line: number; text: string }>([
      ['Service/bibby/catalog-service', { file: 'service.yaml', line: 1, text: service }],
      ['Rollout/bibby/catalog', { file: 'canary.md', line: 1, text: snippet ?? '' }],
    ]);
    const result = compile({
      sources,
      standing: new Map(),
      workloads: [],
      capabilities: () => undefined,
      files: () => undefined,
    });
    expect(result.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    return result.rollouts[0]?.analysis.metrics;
  };

  it('shows Rollouts with metrics that compile', () => {
    expect(snippets).toHaveLength(2);
    expect(plansOf(snippets[0])).toMatchObject([
      { name: 'bounced-loans', intervalMs: 30_000, maxRatio: 1.5, failureLimit: 2 },
      { name: 'search-hits', failureLimit: 0 },
      { name: 'stock-errors', source: { type: 'nats', subject: 'stock.errors' } },
    ]);
    expect(plansOf(snippets[1])).toMatchObject([
      { name: 'loan-value', minRatio: 0.9, source: { type: 'response', name: 'x-loan-value' } },
    ]);
  });
});
