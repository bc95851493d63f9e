// How many retries policy allows on each edge of the call graph: the largest budget of any rule that leads there.
import { callEdge } from '#engine/model/decision-reach.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { ForwardAction, Snapshot } from '#engine/model/snapshot.ts';

/** Percent of the requests, by edge. Where nothing is retried there is no bound. */
export const retryBounds = (
  snapshots: ReadonlyMap<Scope, Snapshot>,
): ReadonlyMap<string, number> => {
  const bounds = new Map<string, number>();
  for (const [scope, snapshot] of snapshots)
    for (const { action } of snapshot.rules) {
      const percent = action.type === 'forward' ? (action.retry?.budgetPercent ?? 0) : 0;
      if (action.type !== 'forward' || percent === 0) continue;
      for (const service of servicesOf(action, snapshot)) {
        const edge = callEdge(scope, service);
        bounds.set(edge, Math.max(percent, bounds.get(edge) ?? 0));
      }
    }
  return bounds;
};

const servicesOf = ({ backends }: ForwardAction, { upstreams }: Snapshot): readonly string[] =>
  backends.flatMap((backend) =>
    'split' in backend ? [backend.split] : (upstreams[backend.upstream]?.service ?? []),
  );
