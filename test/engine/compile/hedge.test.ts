import { expect, it } from 'vitest';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { compileFiles } from '#test/golden/surroundings.ts';

it('a hedge of a rule is part of what it does', () => {
  const text = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: http, port: 8080 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog }
spec: { endpoints: [{ address: 10.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog }
spec:
  parentRefs: [{ name: public }]
  rules: [{ backends: [{ service: catalog }], hedge: { after: 50ms } }]
`;
  const { compiled } = compileFiles([{ file: 'hedge.yaml', text }], {
    workloads: [],
    capabilities,
  });
  const [rule] = compiled.snapshots.get('edge.public')?.rules ?? [];
  expect(rule?.action).toMatchObject({ type: 'forward', hedge: { afterMs: 50 } });
});
