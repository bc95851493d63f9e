// Where a connection goes that no Route speaks of: to the Service of its listener, by the weights of the Service's versions.
import type { Upstream } from '#engine/model/snapshot.ts';
import { baseSplits, decidedSplits } from '#engine/pipeline/destination.ts';
import { choose } from '#engine/pipeline/weighted-choice.ts';
import type { Random } from '#engine/ports/clock.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';

export interface Targets {
  /** `service` is `namespace/service`. Undefined when no version with a share has an endpoint. */
  choose(service: string, random: Random): Upstream | undefined;
}

export const noTargets: Targets = { choose: () => undefined };

export const targetsOf = ({ snapshot, overlay }: PlaneView): Targets => {
  if (!snapshot.listeners.some(({ upstream }) => upstream !== undefined)) return noTargets;
  const splits = decidedSplits(baseSplits(snapshot), overlay.values(), snapshot);
  return {
    choose: (service, random) => {
      const split = splits.get(service);
      if (split) return choose(split.choice, random());
      return Object.hasOwn(snapshot.upstreams, service) ? snapshot.upstreams[service] : undefined;
    },
  };
};
