// Who comes from another gateway tries what they have: each document is refused by name, with the words that Weir has for it.
import { describe, expect, it } from 'vitest';
import { readDocuments } from '#engine/compile/read-documents.ts';

const only = (text: string) => {
  const { documents, diagnostics } = readDocuments([{ file: 'theirs.yaml', text }]);
  expect(documents).toEqual([]);
  expect(diagnostics).toHaveLength(1);
  return diagnostics[0];
};

describe('documents of others', () => {
  it.each([
    ['networking.istio.io/v1beta1', 'VirtualService', 'Istio', 'Route'],
    ['networking.istio.io/v1', 'DestinationRule', 'Istio', 'Service'],
    ['security.istio.io/v1', 'PeerAuthentication', 'Istio', 'PeerAuthentication'],
    ['security.istio.io/v1beta1', 'AuthorizationPolicy', 'Istio', 'Authorization'],
    ['security.istio.io/v1', 'RequestAuthentication', 'Istio', 'Authentication'],
    ['configuration.konghq.com/v1', 'KongPlugin', 'Kong', 'Quota'],
    ['configuration.konghq.com/v1', 'KongConsumer', 'Kong', 'Consumer'],
    ['networking.k8s.io/v1', 'Ingress', 'Kubernetes', 'Route'],
    ['gateway.networking.k8s.io/v1', 'HTTPRoute', 'Gateway API', 'Route'],
    ['apps/v1', 'Deployment', 'Kubernetes', 'WEIR_LABELS'],
    ['flagger.app/v1beta1', 'Canary', 'Flagger', 'Rollout'],
    ['argoproj.io/v1alpha1', 'Rollout', 'Argo', 'Rollout'],
  ])('%s %s of %s is told to be a %s', (apiVersion, kind, whose, ours) => {
    const found = only(
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: x }\nspec: {}\n`,
    );
    expect(found?.code).toBe('ERR_RESOURCE_API_VERSION');
    expect(found?.message).toContain(`a ${kind} of ${whose}`.replace(/^a (?=[AEI])/, 'an '));
    expect(found?.hint).toContain(ours);
    expect(found?.hint).toContain('docs/coming-from.md');
    expect(found?.location?.line).toBe(1);
  });

  it("knows Kong's declarative configuration, which has no kinds", () => {
    const found = only(
      'routes:\n  - name: catalog\n    paths: [/api/v1/books]\n    service: catalog-service\n',
    );
    expect(found?.message).toContain("looks like Kong's declarative configuration");
    expect(found?.hint).toContain('docs/coming-from.md');
  });

  it('has nothing to say about a kind that it never heard of', () => {
    const found = only('apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: x }\n');
    expect(found?.hint).toBe('Write "apiVersion: weir.dev/v1".');
  });

  it('does not take odd values for a clue', () => {
    expect(only('apiVersion: [1]\nkind: { a: 1 }\n')?.hint).toBe(
      'Write "apiVersion: weir.dev/v1".',
    );
    expect(only('apiVersion: constructor\nkind: __proto__\n')?.code).toBe(
      'ERR_RESOURCE_API_VERSION',
    );
  });
});
