// Rounds of the event loop. Bytes that are read in the round in which a request is written, from within a read, cannot be its answer:
// the kernel had them before. One count for the process, as it has one event loop.

/** The kernel hands over so many events at a time, and is asked for more at once when there were as many. */
const BATCH = 1024;
/** After so many reads those that follow may be younger than the round. */
const CERTAIN_READS = BATCH / 2;

interface RoundListener {
  /** `isWhole`: everything that had arrived before has been read. Otherwise so much has been read that the kernel was asked again. */
  onRoundEnd(isWhole: boolean): void;
}

let round = 1;
let reads = 0;
let isReading = false;
let isEndAwaited = false;
let waiting: RoundListener[] = [];
let calling: RoundListener[] = [];

const tell = (isWhole: boolean): void => {
  [waiting, calling] = [calling, waiting];
  for (const listener of calling) listener.onRoundEnd(isWhole);
  calling.length = 0;
};

/** Immediates come right after the reads of a round. */
const end = (): void => {
  round++;
  reads = 0;
  isEndAwaited = false;
  tell(true);
};

const awaitEnd = (): void => {
  if (isEndAwaited) return;
  isEndAwaited = true;
  setImmediate(end);
};

export const enterRead = (): void => {
  isReading = true;
  if (++reads % BATCH === 0) tell(false);
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

/** At the end of the round, or once after a part of a long one. */
export const callAtRoundEnd = (listener: RoundListener): void => {
  waiting.push(listener);
  awaitEnd();
};
