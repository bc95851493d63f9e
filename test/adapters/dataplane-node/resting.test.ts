import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  enterRead,
  leaveRead,
  precedes,
  roundOfWrite,
} from '#adapters/dataplane-node/event-rounds.ts';
import type { UpstreamConnection } from '#adapters/dataplane-node/upstream/connection.ts';
import { Resting } from '#adapters/dataplane-node/upstream/resting.ts';

const connection = (isIdle = true): UpstreamConnection => ({ isIdle }) as UpstreamConnection;

const place = (hasWaiting = false) => {
  const rested: UpstreamConnection[] = [];
  const owner = { hasWaiting, onRested: (each: UpstreamConnection) => void rested.push(each) };
  return { rested, owner, resting: new Resting(owner) };
};

const read = (times: number): void => {
  for (let i = 0; i < times; i++) {
    enterRead();
    leaveRead();
  }
};

/** Others of this process may have read already in this round. */
beforeEach(async () => {
  enterRead();
  roundOfWrite();
  leaveRead();
  await turn();
});

describe('a connection whose answer has ended', () => {
  it('rests until everything of the round has been read', async () => {
    const { resting, rested } = place();
    const [one, two] = [connection(), connection()];
    resting.add(one);
    read(10);
    resting.add(two);
    expect([rested, resting.size]).toEqual([[], 2]);
    await turn();
    expect([rested, resting.size]).toEqual([[one, two], 0]);
  });

  it('rests for a round more where somebody waits for it', async () => {
    const { resting, rested } = place(true);
    resting.add(connection());
    await turn();
    expect([rested.length, resting.size]).toEqual([0, 1]);
    await turn();
    expect([rested.length, resting.size]).toEqual([1, 0]);
  });

  it('is of no use once it has been closed meanwhile', async () => {
    const { resting, rested } = place();
    const forgotten = connection();
    resting.add(connection(false));
    resting.add(forgotten);
    resting.forget(forgotten);
    await turn();
    expect([rested, resting.size]).toEqual([[], 0]);
  });

  it('does not rest for the whole of a round that is very long', async () => {
    const { resting, rested } = place();
    resting.add(connection());
    read(1024);
    expect(rested).toHaveLength(0);
    read(1024);
    expect(rested).toHaveLength(1);
    await turn();
  });
});

describe('what is read', () => {
  it('in the round of a write was there before it, in a later one it was not', async () => {
    expect(roundOfWrite()).toBe(0);
    enterRead();
    const written = roundOfWrite();
    leaveRead();
    expect(precedes(written)).toBe(true);
    await turn();
    expect(precedes(written)).toBe(false);
  });

  it('late in a long round may be younger', async () => {
    enterRead();
    const written = roundOfWrite();
    read(600);
    expect(precedes(written)).toBe(false);
    await turn();
  });
});
