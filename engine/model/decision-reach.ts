// Whom a decision concerns: the scopes that have the thing it is about.
import type { DecisionBody } from './decision.ts';
import { endpointName, upstreamOf } from './endpoint.ts';
import type { Scope } from './scope.ts';
import type { Snapshot } from './snapshot.ts';

export type Reachable = Pick<Snapshot, 'splits' | 'upstreams'>;

export const concerns = (
  { target, type }: Pick<DecisionBody, 'type' | 'target'>,
  scope: Scope,
  { splits, upstreams }: Reachable,
): boolean => {
  switch (type) {
    case 'revocation':
      return true;
    case 'split':
      return Object.hasOwn(splits, target);
    case 'breaker': {
      const id = upstreamOf(target);
      if (!Object.hasOwn(upstreams, id)) return false;
      const name = target.slice(id.length + 1);
      return upstreams[id]?.endpoints.some((each) => endpointName(each) === name) ?? false;
    }
    case 'retry-budget': {
      const { source, service } = edgeOf(target);
      return source === scope && Object.values(upstreams).some((each) => each.service === service);
    }
    default:
      return type satisfies never;
  }
};

/** Who calls and who is called: `edge.public/bibby/catalog-service`. */
export const callEdge = (source: Scope, service: string): string => `${source}/${service}`;

export const edgeOf = (target: string): { readonly source: string; readonly service: string } => {
  const slash = target.indexOf('/');
  return { source: target.slice(0, slash), service: target.slice(slash + 1) };
};
