// What the snippets of the documentation stand among: the demo's policies, and what else they name.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './pages.ts';

const folder = join(root, 'policies');

const others = `apiVersion: weir.dev/v1
kind: Service
metadata: { name: queue, namespace: bibby }
spec: { port: 5672, protocol: tcp, endpoints: [{ address: 127.0.0.1 }] }
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: loan-service, namespace: bibby }
spec:
  versions:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: desk, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  hosts: [desk.bibby.com]
  rules: [{ backends: [{ service: library-service }] }]
`;

export const surroundings = [
  ...readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8')),
  others,
].join('\n---\n');
