// Policy that the tests apply: Bibby's gateway with its catalog in two versions.
export const gateway = `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec:
  listeners:
    - { name: http, port: 8080, protocol: HTTP }
`;

export const service = `apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  port: 9001
  versions:
    - { name: v1.0, labels: { version: v1.0 } }
    - { name: v1.1, labels: { version: v1.1 } }
`;

export const route = (path = '/catalog', timeout = '5s'): string => `apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  hosts: [api.bibby.com]
  rules:
    - matches:
        - path: { prefix: ${path} }
      timeout: ${timeout}
      backends:
        - service: catalog-service
`;

export const rollout = (more = ''): string => `apiVersion: weir.dev/v1
kind: Rollout
metadata: { name: catalog, namespace: bibby }
spec:
  service: catalog-service
  steps: [10, 50]
  ramp: steps
  minStep: 2s
  minSoak: 4s
${more}`;

export const all = (...documents: readonly string[]): string => documents.join('---\n');

export const bibby = all(gateway, service, route());
