import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HistoryAnswer } from '#engine/model/api.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import { PolicyLog } from '#services/control/policy-log.ts';
import { bibby, route } from './documents.ts';
import { type Replica, World } from './world.ts';

let world: World;
let replica: Replica;
beforeEach(async () => {
  world = new World();
  replica = await world.start();
  await world.apply(bibby);
});
afterEach(() => world.stop());

/** Another replica, which is faster as often as it wants to. */
const rival = async (): Promise<() => Promise<void>> => {
  const log = new PolicyLog(
    await world.hub.connect().log(streams.policy),
    subjects(),
    (where, error) => {
      throw new Error(where, { cause: error });
    },
  );
  await log.load();
  log.close();
  return async () => {
    await log.catchUp();
    await log.commit({
      author: 'rival',
      message: '',
      atMs: 0,
      changes: [],
      quarantined: [],
      base: log.state,
    });
  };
};

it('a commit goes through after another replica was faster dozens of times', async () => {
  const commit = await rival();
  let races = 0;
  replica.broker.beforeAppends(async (subject) => {
    if (subject !== subjects().policyCommit || races === 40) return;
    races += 1;
    await commit();
  });
  const { revision } = await world.apply(route('/late'));
  expect([races, revision]).toEqual([40, 42]);
  const { body } = await world.call<HistoryAnswer>(['GET', '/v1/policy/history']);
  expect(body.commits.map((one) => one.author)).toContain('operator');
});

it('the last of many commits is published, and those before it need not be', async () => {
  const edge = await world.agent('edge-1', 'edge.public');
  const commit = await rival();
  for (let count = 0; count < 30; count += 1) await commit();
  await world.apply(route('/last'));
  await world.until('the edge has it', () => edge.snapshot?.rules.length === 1);
  expect(JSON.stringify(edge.snapshot)).toContain('/last');
  const { body } = await world.call<{ revision: number }>(['GET', '/v1/fleet']);
  expect(body.revision).toBe(32);
});
