// A preview that nobody can ask for is told: blueGreen needs a Route that names its host.
import { expect, it } from 'vitest';
import { compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';

const rest = `apiVersion: weir.dev/v1
kind: Service
metadata: { name: shop }
spec:
  endpoints: [{ address: 127.0.0.1, labels: { version: a } }, { address: 127.0.0.2, labels: { version: b } }]
  versions: [{ name: a, labels: { version: a } }, { name: b, labels: { version: b } }]
---
apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public }
spec: { listeners: [{ name: web, port: 8080 }] }
---
apiVersion: weir.dev/v1
kind: Rollout
metadata: { name: shop }
spec: { service: shop, strategy: blueGreen, preview: { host: next.shop.com } }
`;
const route = (hosts: string) => `---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: shop }
spec: { parentRefs: [{ name: public }], rules: [{ backends: [{ service: shop }] }], hosts: ${hosts} }
`;

const warningsWith = (hosts: string) => {
  const { documents } = readDocuments([{ file: 'a.yaml', text: rest + route(hosts) }]);
  const { diagnostics } = compile({
    sources: new Map(documents.map(({ id, source }) => [id, source])),
    standing: new Map(),
    workloads: [],
    capabilities: () => undefined,
    files: () => undefined,
  });
  return diagnostics.filter(({ severity }) => severity === 'warning');
};

it.each([
  '[shop.com]',
  '["*.other.com"]',
  '["*.next.shop.com"]',
  '["*.com"], hostWildcard: oneLabel',
])('nobody reaches the preview with hosts %s', (hosts) => {
  expect(warningsWith(hosts)).toMatchObject([
    {
      code: 'WARN_POLICY_UNATTACHED',
      resource: 'Rollout/default/shop',
      path: 'spec.preview.host',
      message: 'no Route takes requests for next.shop.com, so nobody sees the preview',
    },
  ]);
});

it.each(['[]', '["*"]', '[shop.com, next.shop.com]', '["*.shop.com"]', '["*.com"]'])(
  'the preview is reached with hosts %s',
  (hosts) => expect(warningsWith(hosts)).toEqual([]),
);
