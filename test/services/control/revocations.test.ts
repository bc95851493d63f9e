import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { viewOf } from '#engine/agent/agent.ts';
import type { RevocationAnswer } from '#engine/model/api.ts';
import { bibby } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { World } from './world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const URL = '/v1/revocations';
const revoke = (target: string, more: object = {}) =>
  world.call<RevocationAnswer>(['POST', URL], { target, ...more }, { role: 'admin' });

/** Targets that the agent shuts out, by snapshot and by overlay. */
const shutOut = ({ state }: FakeAgent): string[] => {
  const view = viewOf(state);
  const bodies = [
    ...(view?.overlay.values() ?? []),
    ...(view?.snapshot.standing ?? []).map(({ body }) => body),
  ];
  return [
    ...new Set(bodies.flatMap(({ type, target }) => (type === 'revocation' ? [target] : []))),
  ].toSorted();
};

const ready = async (): Promise<FakeAgent> => {
  await world.start();
  const edge = await world.agent('edge-1', 'edge.public');
  await world.apply(bibby);
  await world.until('the edge has it', () => edge.snapshot !== undefined);
  return edge;
};

describe('a revocation', () => {
  it('reaches every agent as a decision, and stays in the snapshots that follow', async () => {
    const edge = await ready();
    const { status, body } = await revoke('sub:ada', { reason: 'laptop stolen' });
    expect(status).toBe(200);
    expect(body.revocations).toMatchObject([
      { target: 'sub:ada', by: 'operator:admin', reason: 'laptop stolen' },
    ]);
    await world.until('the edge knows', () => shutOut(edge).length > 0);
    await world.seconds(2);
    expect(edge.snapshot?.standing).toMatchObject([{ body: { target: 'sub:ada' } }]);
  });

  it('keeps targets apart that differ in punctuation only', async () => {
    const edge = await ready();
    for (const target of ['sub:a.b', 'sub:a@b', 'sub:a/b'])
      expect((await revoke(target)).status).toBe(200);
    await world.until('the edge knows all', () => shutOut(edge).length === 3);
    const again = await world.agent('edge-2', 'edge.public');
    await world.until('a later agent knows all', () => shutOut(again).length === 3);
  });

  it('survives a restart of control', async () => {
    const edge = await ready();
    await revoke('jti:t1');
    world.replicas[0]?.kill();
    await world.start('control-1');
    await world.seconds(2);
    expect(shutOut(edge)).toEqual(['jti:t1']);
    const { body } = await world.call<RevocationAnswer>(['GET', URL]);
    expect(body.revocations.map(({ target }) => target)).toEqual(['jti:t1']);
  });

  it('is forgotten when what it is about has expired by itself', async () => {
    const edge = await ready();
    await revoke('jti:t1', { ttlMs: 60_000 });
    await world.seconds(59);
    expect(shutOut(edge)).toEqual(['jti:t1']);
    await world.seconds(33);
    expect(shutOut(edge)).toEqual([]);
  });

  it('can be taken back', async () => {
    const edge = await ready();
    await revoke('consumer:shop');
    const { status } = await world.call(
      ['POST', `${URL}/restore`],
      { target: 'consumer:shop' },
      { role: 'admin' },
    );
    expect(status).toBe(200);
    await world.until('the edge lets it in', () => shutOut(edge).length === 0);
  });

  it('is an admin matter', async () => {
    await ready();
    expect((await world.call(['POST', URL], { target: 'sub:ada' })).status).toBe(403);
  });

  it.each(['ada', 'sub:', 'before:yesterday', 'user:ada'])('is refused for %s', async (target) => {
    await ready();
    expect((await revoke(target)).status).toBe(400);
  });
});
