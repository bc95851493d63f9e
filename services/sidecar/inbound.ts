// What only this machine knows, put into a snapshot: where traffic comes in and where the application is.
import { createServer } from 'node:net';
import { EngineError } from '#engine/model/errors.ts';
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

const placeSnapshot = (snapshot: Snapshot, { inbound, app }: Places): Snapshot => ({
  ...snapshot,
  listeners: snapshot.listeners.map((listener) => ({
    ...listener,
    address: inbound.host,
    port: inbound.port,
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

/** Port 0 becomes a free port, once, so that it stays the same over all snapshots. */
export const settlePort = async (address: Address): Promise<Address> => {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new EngineError(
          cause.code === 'EADDRINUSE' ? 'ERR_PORT_TAKEN' : 'ERR_CONFIG_INVALID',
          cause.code === 'EADDRINUSE'
            ? `the inbound address ${address.host}:${address.port} is in use already`
            : `cannot listen on the inbound address ${address.host}:${address.port}`,
          { cause },
        ),
      ),
    );
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address;
};
