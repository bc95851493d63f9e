// A scope is all agents that share one snapshot.
export type EdgeScope = `edge.${string}`;
export type SidecarScope = `sidecar.${string}.${string}`;
export type Scope = EdgeScope | SidecarScope;

/** Names in a scope are subject tokens, so a dot inside a name is written `_`. */
const token = (name: string): string => name.replaceAll('.', '_');

export const edgeScope = (gateway: string): EdgeScope => `edge.${token(gateway)}`;
export const sidecarScope = (namespace: string, workload: string): SidecarScope =>
  `sidecar.${token(namespace)}.${token(workload)}`;

export const isScope = (text: string): text is Scope =>
  /^(edge\.[A-Za-z0-9_-]+|sidecar\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/.test(text);
