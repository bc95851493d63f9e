import { describe, expect, it } from 'vitest';
import { localApp } from '#engine/model/snapshot.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import { placeView } from '#services/sidecar/inbound.ts';
import { emptySnapshot } from '#test/support/control-messages.ts';
import { listener, upstream } from '#test/support/snapshot.ts';

const view: PlaneView = {
  scope: 'sidecar.bibby.catalog-v1',
  revision: 8,
  position: 1,
  snapshot: {
    ...emptySnapshot,
    listeners: [listener({ name: 'inbound', address: '0.0.0.0', port: 15_006 })],
    upstreams: {
      own: upstream('own', { endpoints: [localApp] }),
      other: upstream('other', { endpoints: [{ address: '10.0.0.7', port: 80, weight: 1 }] }),
    },
  },
  overlay: new Map(),
};
const place = () =>
  placeView({ inbound: { host: '10.1.2.3', port: 4001 }, app: { host: '127.0.0.1', port: 9001 } });

describe('a sidecar’s view', () => {
  it('listens where this machine was told to, under the port of the application', () => {
    const [inbound] = place()(view).snapshot.listeners;
    expect(inbound).toMatchObject({ name: 'inbound', address: '10.1.2.3', port: 9001 });
  });

  it('has the application in place of its placeholder, and nothing else changed', () => {
    const { upstreams } = place()(view).snapshot;
    expect(upstreams['own']?.endpoints).toEqual([{ address: '127.0.0.1', port: 9001, weight: 1 }]);
    expect(upstreams['other']).toEqual(view.snapshot.upstreams['other']);
  });

  it('keeps the same snapshot object while only decisions change', () => {
    const placed = place();
    expect(placed({ ...view, position: 2 }).snapshot).toBe(placed(view).snapshot);
  });
});
