// Rounds of the event loop. Bytes that are read in the round in which a request is written, from within a read, cannot be its answer:
// the kernel had them before. One count for the process, as it has one event loop.

/** The kernel hands over 1024 events at a time; after so many reads those that follow may be younger than the round. */
const CERTAIN_READS = 512;

interface RoundListener {
  onRoundEnd(): void;
}

let round = 1;
let reads = 0;
let isReading = false;
let isEndAwaited = false;
let waiting: RoundListener[] = [];
let calling: RoundListener[] = [];

/** Immediates come right after the reads of a round. */
const end = (): void => {
  round++;
  reads = 0;
  isEndAwaited = false;
  [waiting, calling] = [calling, waiting];
  for (const listener of calling) listener.onRoundEnd();
  calling.length = 0;
};

const awaitEnd = (): void => {
  if (isEndAwaited) return;
  isEndAwaited = true;
  setImmediate(end);
};

export const enterRead = (): void => {
  isReading = true;
  reads++;
};

export const leaveRead = (): void => {
  isReading = false;
};

/** The present round; 0 outside of reads, where nobody can tell what came first. */
export const roundOfWrite = (): number => {
  if (!isReading) return 0;
  awaitEnd();
  return round;
};

/** What is being read now had arrived before anything that was written in that round. */
export const precedes = (written: number): boolean => written === round && reads < CERTAIN_READS;

/** Once per round and listener at most. */
export const callAtRoundEnd = (listener: RoundListener): void => {
  waiting.push(listener);
  awaitEnd();
};
