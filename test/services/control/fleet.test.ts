import { describe, expect, it } from 'vitest';
import type { Ack, Heartbeat, Workload } from '#engine/model/telemetry.ts';
import { Fleet } from '#services/control/fleet.ts';

const beat = (agent: string, more: Partial<Heartbeat> = {}): Heartbeat => ({
  v: 1,
  type: 'alive',
  agent,
  scope: 'edge.public',
  incarnation: 'first',
  atMs: 0,
  revision: 1,
  position: 10,
  state: 'live',
  capabilities: ['http', 'split'],
  version: '1.0.0',
  ...more,
});
const ack = (agent: string, more: Partial<Ack> = {}): Ack => ({
  v: 1,
  type: 'ack',
  agent,
  scope: 'edge.public',
  message: 'snapshot',
  outcome: 'applied',
  position: 11,
  revision: 2,
  appliedPosition: 11,
  tookMs: 1,
  lagMs: 2,
  atMs: 5,
  ...more,
});
const workload: Workload = {
  namespace: 'bibby',
  name: 'catalog',
  labels: { app: 'catalog-service' },
  endpoints: [{ address: '10.0.0.1', port: 9000 }],
};
const typesOf = (happenings: readonly { readonly type: string }[]) =>
  happenings.map(({ type }) => type);

describe('the fleet', () => {
  it('knows whose clock is wrong', () => {
    const fleet = new Fleet();
    fleet.beat(beat('edge-1', { atMs: 1_000_090_000 }), 500);
    const [status] = fleet.statuses(700, () => 10, 1_000_000_200);
    expect(status?.clockAheadMs).toBe(90_000);
  });

  it('tells who came and who was lost', () => {
    const fleet = new Fleet();
    expect(typesOf(fleet.beat(beat('edge-1'), 0))).toEqual(['agent.joined']);
    expect(typesOf(fleet.beat(beat('edge-1'), 1000))).toEqual([]);
    expect(fleet.expire(6000)).toEqual([]);
    expect(typesOf(fleet.expire(6001))).toEqual(['agent.left']);
    expect(fleet.statuses(6001, () => 10)[0]).toMatchObject({ state: 'lost', ageMs: 5001 });
    expect(typesOf(fleet.beat(beat('edge-1'), 7000))).toEqual(['agent.joined']);
  });

  it('believes an ack before the next heartbeat, and the larger of the two', () => {
    const fleet = new Fleet();
    fleet.beat(beat('edge-1'), 0);
    fleet.ack(ack('edge-1'));
    expect(fleet.statuses(0, () => 11)[0]).toMatchObject({
      position: 11,
      revision: 2,
      current: true,
    });
    fleet.beat(beat('edge-1'), 100);
    expect(fleet.statuses(100, () => 11)[0]).toMatchObject({ position: 11, revision: 2 });
  });

  it('begins anew with a new incarnation', () => {
    const fleet = new Fleet();
    fleet.beat(beat('edge-1', { position: 50 }), 0);
    fleet.beat(beat('edge-1', { incarnation: 'second', position: 3 }), 100);
    expect(fleet.statuses(100, () => 50)[0]).toMatchObject({ position: 3, current: false });
  });

  it('remembers why an agent refused', () => {
    const fleet = new Fleet();
    fleet.beat(beat('edge-1'), 0);
    const happenings = fleet.ack(
      ack('edge-1', { outcome: 'rejected', reason: 'port 80 is taken' }),
    );
    expect(typesOf(happenings)).toEqual(['agent.rejected']);
    expect(fleet.statuses(0, () => 11)[0]?.lastRejection?.reason).toBe('port 80 is taken');
  });

  it('drops the endpoints of a workload that is lost or draining', () => {
    const fleet = new Fleet();
    const sidecar = { scope: 'sidecar.bibby.catalog', workload } as const;
    fleet.beat(beat('one', sidecar), 0);
    fleet.beat(beat('two', sidecar), 3000);
    expect(fleet.workloads()).toHaveLength(2);
    fleet.expire(5500);
    expect(fleet.workloads().map(({ agent }) => agent)).toEqual(['two']);
    fleet.beat(beat('two', { ...sidecar, state: 'draining' }), 5600);
    expect(fleet.workloads()).toEqual([]);
  });

  it('keeps what a predecessor saw until the agents should have spoken', () => {
    const fleet = new Fleet();
    fleet.remember([{ agent: 'one', workload }], 1000);
    expect(fleet.workloads()).toHaveLength(1);
    fleet.expire(6000);
    expect(fleet.workloads()).toHaveLength(1);
    fleet.expire(6001);
    expect(fleet.workloads()).toEqual([]);
  });

  it('holds nobody to silence while it was deaf itself', () => {
    const fleet = new Fleet();
    fleet.beat(beat('edge-1'), 0);
    fleet.excuse(30_000);
    expect(fleet.expire(34_000)).toEqual([]);
    expect(typesOf(fleet.expire(35_001))).toEqual(['agent.left']);
  });

  it('asks of a scope only what all of its agents can enforce', () => {
    const fleet = new Fleet();
    fleet.beat(beat('one', { capabilities: ['http', 'split', 'mirror'] }), 0);
    fleet.beat(beat('two', { capabilities: ['http', 'mirror'] }), 0);
    expect([...(fleet.capabilities('edge.public') ?? [])]).toEqual(['http', 'mirror']);
    expect(fleet.capabilities('edge.other')).toBeUndefined();
  });

  it('notices a change that matters to compile, and only that', () => {
    const fleet = new Fleet();
    fleet.beat(beat('one', { workload }), 0);
    expect(fleet.hasChanged()).toBe(true);
    fleet.beat(beat('one', { workload, position: 99 }), 1000);
    expect(fleet.hasChanged()).toBe(false);
    fleet.beat(beat('one', { workload: { ...workload, labels: { app: 'other' } } }), 2000);
    expect(fleet.hasChanged()).toBe(true);
  });
});
