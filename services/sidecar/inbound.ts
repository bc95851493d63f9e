// What only this machine knows, put into a snapshot: where traffic comes in and where the application is.
import { localApp, type Snapshot, type Upstream } from '#engine/model/snapshot.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import type { Address } from '../agent/config.ts';

export interface Places {
  readonly inbound: Address;
  readonly app: Address;
}

/** The same snapshot object gives the same result object, so that a data plane sees what did not change. */
export const placeView = (places: Places): ((view: PlaneView) => PlaneView) => {
  const placed = new WeakMap<Snapshot, Snapshot>();
  return (view) => {
    const snapshot = placed.get(view.snapshot) ?? placeSnapshot(view.snapshot, places);
    placed.set(view.snapshot, snapshot);
    return { ...view, snapshot };
  };
};

/** To policy the port is the application's own, wherever we really listen. */
const placeSnapshot = (snapshot: Snapshot, { inbound, app }: Places): Snapshot => ({
  ...snapshot,
  listeners: snapshot.listeners.map((listener) => ({
    ...listener,
    address: inbound.host,
    port: app.port,
  })),
  upstreams: Object.fromEntries(
    Object.entries(snapshot.upstreams).map(([id, upstream]) => [id, placeUpstream(upstream, app)]),
  ),
});

const placeUpstream = (upstream: Upstream, app: Address): Upstream => ({
  ...upstream,
  endpoints: upstream.endpoints.map((endpoint) =>
    endpoint.address === localApp.address
      ? { ...endpoint, address: app.host, port: app.port }
      : endpoint,
  ),
});
