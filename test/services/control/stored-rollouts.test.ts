import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rolloutPhases } from '#engine/machines/rollout-types.ts';
import { RolloutRun } from '#services/control/rollout-run.ts';
import { plan } from '#test/engine/machines/rollout-fixtures.ts';

/** By phase: what the bucket of machines held, as an earlier release wrote it. */
const stored = (version: number): Readonly<Record<string, Readonly<Record<string, string>>>> =>
  JSON.parse(
    readFileSync(new URL(`stored/rollouts-v${version}.json`, import.meta.url), 'utf8'),
  ) as never;

const deps = {
  save: async () => {},
  say: async () => {},
  ask: () => {},
  learnt: () => undefined,
  isServed: () => true,
  now: () => 1_800_000_100_000,
};
const ofService = { ...plan, steps: [10, 50] };

describe.each([1, 2])('a rollout written by version %i', (version) => {
  it.each(Object.entries(stored(version)))('%s, goes on', async (phase, entries) => {
    const [bytes = ''] = Object.values(entries);
    const { state } = JSON.parse(bytes) as { state: { machine: { context: object } } };
    const run = new RolloutRun(ofService, state, deps);
    expect(run.broken).toBeUndefined();
    expect(run.record.machine).toMatchObject({ v: 2, phase, context: state.machine.context });
    await run.tick(1_800_000_100_000);
    expect(run.broken).toBeUndefined();
  });

  it('is known in every phase that it could be in', () => {
    expect(Object.keys(stored(version)).toSorted()).toEqual([...rolloutPhases].toSorted());
  });
});
