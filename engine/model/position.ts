// A position orders all control messages of one scope. Its high part is the epoch of the leader that wrote it, so
// whatever a deposed leader still sends sorts below everything its successor has said.
const COUNTERS = 2 ** 32;

export const makePosition = (epoch: number, counter: number): number => epoch * COUNTERS + counter;
export const epochOf = (position: number): number => Math.floor(position / COUNTERS);

/** `3.17`: the seventeenth message of the third leader. */
export const formatPosition = (position: number): string =>
  `${epochOf(position)}.${position % COUNTERS}`;
