// Time, chance and hashes for a pipeline under test. Time stands still until the test moves it.
import { createHash, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';

export interface FakeTime {
  nowMs: number;
}

const scryptAsync = promisify<string, Uint8Array, number, object, Uint8Array>(scrypt);

export const pipelineDeps = (
  facts: Partial<PipelineDeps> & { time?: FakeTime } = {},
): PipelineDeps => {
  const { time = { nowMs: 1_800_000_000_000 }, ...rest } = facts;
  return {
    clock: { now: () => time.nowMs, monotonic: () => time.nowMs },
    random: seededRandom(1),
    hash: (text) => createHash('sha256').update(text).digest('hex'),
    scrypt: (password, salt, cost, length) =>
      scryptAsync(password, salt, length, { ...cost, maxmem: 256 * 2 ** 20 }),
    state: createPipelineState(),
    ...rest,
  };
};

/** mulberry32: the same numbers for the same seed. */
const seededRandom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};
