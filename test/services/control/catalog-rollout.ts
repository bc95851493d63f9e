// The catalog in two versions behind one edge, with made-up traffic: what tests of rollouts play with.
import type { RolloutAnswer } from '#engine/model/api.ts';
import type { Series } from '#engine/model/telemetry.ts';
import { all, bibby, rollout } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { type Answer, catalog, type World } from './world.ts';

export const SERVICE = 'bibby/catalog-service';

export const series = (
  version: string,
  requests: number,
  errors: number,
  more: Partial<Series> = {},
): Series => ({
  rule: 'bibby/catalog/0',
  service: SERVICE,
  version,
  source: 'unknown',
  requests,
  errors,
  statuses: { 200: requests - errors, 500: errors },
  flags: {},
  // All answers in (2^(40/8), 2^(41/8)] = 32 to 34.9 ms.
  latency: { zero: 0, buckets: requests > 0 ? [40, requests] : [], sum: requests * 33 },
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
  ...more,
});

export class CatalogRollout {
  readonly world: World;
  edge: FakeAgent | undefined;

  constructor(world: World) {
    this.world = world;
  }

  weight(version = 'v1.1'): number | undefined {
    return this.edge?.weight(SERVICE, version);
  }

  /** 400 requests per second, shared as the edge was told; so many of the new version's fail. */
  traffic(canaryErrorShare: number, more: readonly Series[] = []): () => void {
    return () => {
      const canary = Math.round((400 * (this.weight() ?? 0)) / 10_000);
      this.edge?.sample([
        series('v1.0', 400 - canary, 0),
        series('v1.1', canary, Math.round(canary * canaryErrorShare)),
        ...more,
      ]);
    };
  }

  /** The first version runs for five seconds, then the second is announced. */
  async ship(document = rollout()): Promise<void> {
    const { world } = this;
    await world.apply(all(bibby, document));
    this.edge = await world.agent('edge-1', 'edge.public');
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(5, this.traffic(0));
    await world.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await world.seconds(1, this.traffic(0));
  }

  async until(state: string, each: () => void = this.traffic(0), limit = 120): Promise<number> {
    for (let second = 0; second < limit; second += 1) {
      if ((await this.world.rollout()).state === state) return second;
      await this.world.seconds(1, each);
    }
    throw new Error(`not ${state} but ${JSON.stringify(await this.world.rollout())}`);
  }

  async untilWaiting(gate: string, each: () => void = this.traffic(0)): Promise<void> {
    for (let second = 0; second < 120; second += 1) {
      const { waiting } = await this.world.rollout();
      if (waiting.some((one) => one.gate === gate)) return;
      await this.world.seconds(1, each);
    }
    throw new Error(`no ${gate} but ${JSON.stringify(await this.world.rollout())}`);
  }

  command(verb: string, more: object = {}): Promise<Answer<RolloutAnswer>> {
    return this.world.call<RolloutAnswer>(['POST', `/v1/rollouts/${verb}`], {
      namespace: 'bibby',
      name: 'catalog',
      ...more,
    });
  }
}
