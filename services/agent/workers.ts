// Several processes that take callers in at the same ports, and a parent that holds the ports, so that a worker may end or be replaced
// without a connection being lost. The parent accepts nobody itself: what it had in hand for a dead worker would hang.
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';

export interface WorkersOptions {
  readonly count: number;
  /** What the worker of this number (from 1) is told beside our own environment. */
  readonly envOf: (number: number) => Readonly<Record<string, string>>;
  readonly nameOf: (number: number) => string;
  /** A worker that was told to stop, and has not after so long, is killed. */
  readonly stopTimeoutMs: number;
  readonly log: (line: string) => void;
}

/** What a worker tells its parent. up: it runs. ready: it has policy to serve by. */
export interface WorkerNews {
  readonly weir: 'up' | 'ready';
}

export interface Workers {
  /** Resolves with an exit code when the workers cannot even start. */
  readonly ended: Promise<number>;
  /** Replaces them one after the other, each only once its successor is ready. */
  restart(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

interface Slot {
  readonly number: number;
  worker: Worker | undefined;
  /** Quick deaths in a row. */
  deaths: number;
  again: NodeJS.Timeout | undefined;
}

const READY_TIMEOUT_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
/** Who lived for so long did not die of its start. */
const SETTLED_MS = 10_000;

export const isWorker = (): boolean => cluster.isWorker;

/** For workers. */
export const tellParent = (news: WorkerNews): void => {
  if (cluster.isWorker) process.send?.(news);
};

export const startWorkers = (options: WorkersOptions): Workers => new WorkerSet(options);

class WorkerSet implements Workers {
  readonly ended: Promise<number>;
  readonly #options: WorkersOptions;
  readonly #slots: readonly Slot[];
  readonly #giveUp: (code: number) => void;
  #hasBeenUp = false;
  #isStopping = false;
  #restarting: Promise<void> = Promise.resolve();

  constructor(options: WorkersOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#giveUp = resolve;
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      number: index + 1,
      worker: undefined,
      deaths: 0,
      again: undefined,
    }));
    for (const slot of this.#slots) this.#fill(slot);
  }

  restart(): Promise<void> {
    this.#restarting = this.#restarting.then(() => this.#replaceAll());
    return this.#restarting;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    for (const { again } of this.#slots) clearTimeout(again);
    await Promise.all(this.#running().map((worker) => stop(worker, deadlineMs)));
  }

  async close(): Promise<void> {
    this.#isStopping = true;
    for (const { again } of this.#slots) clearTimeout(again);
    // Those that drain take the second signal as an order to cut.
    await Promise.all(this.#running().map((worker) => stop(worker, KILL_MS)));
  }

  #running(): readonly Worker[] {
    return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
  }

  #fork(slot: Slot): Worker {
    const worker = cluster.fork(this.#options.envOf(slot.number));
    const startedAt = performance.now();
    this.#options.log(
      `worker ${this.#options.nameOf(slot.number)} is process ${worker.process.pid}`,
    );
    worker.on('message', (news: Partial<WorkerNews>) => {
      if (news.weir === 'up') this.#hasBeenUp = true;
    });
    worker.on('exit', (code: number | null, signal: string | null) => {
      if (slot.worker === worker) this.#onDeath(slot, signal ?? code ?? 0, startedAt);
    });
    return worker;
  }

  #fill(slot: Slot): void {
    slot.worker = this.#fork(slot);
  }

  #onDeath(slot: Slot, cause: string | number, startedAt: number): void {
    slot.worker = undefined;
    if (this.#isStopping) return;
    if (!this.#hasBeenUp && typeof cause === 'number') {
      this.#giveUp(cause);
      return;
    }
    const { log, nameOf } = this.#options;
    slot.deaths = performance.now() - startedAt < SETTLED_MS ? slot.deaths + 1 : 0;
    const pauseMs =
      slot.deaths <= 1 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** slot.deaths, MAX_PAUSE_MS);
    log(`worker ${nameOf(slot.number)} ended (${cause}); another one starts`);
    slot.again = setTimeout(() => this.#fill(slot), pauseMs);
  }

  async #replaceAll(): Promise<void> {
    const { log, nameOf, stopTimeoutMs } = this.#options;
    for (const slot of this.#slots) {
      if (this.#isStopping) return;
      const old = slot.worker;
      const fresh = this.#fork(slot);
      if (!(await becomesReady(fresh))) {
        log(`worker ${nameOf(slot.number)}: the new one does not get ready; the old one stays`);
        fresh.process.kill('SIGKILL');
        return;
      }
      // From here on its death counts, and the old one's does not.
      slot.worker = fresh;
      slot.deaths = 0;
      if (old) await stop(old, stopTimeoutMs);
      log(`worker ${nameOf(slot.number)} is replaced`);
    }
  }
}

const KILL_MS = 5000;

const stop = async (worker: Worker, timeoutMs: number): Promise<void> => {
  if (worker.isDead()) return;
  const gone = once(worker, 'exit');
  worker.process.kill('SIGTERM');
  const kill = setTimeout(() => worker.process.kill('SIGKILL'), timeoutMs + KILL_MS);
  await gone;
  clearTimeout(kill);
};

const becomesReady = (worker: Worker): Promise<boolean> =>
  new Promise((resolve) => {
    const settle = (isReady: boolean): void => {
      clearTimeout(timer);
      resolve(isReady);
    };
    const timer = setTimeout(() => settle(false), READY_TIMEOUT_MS);
    worker.on('exit', () => settle(false));
    worker.on('message', (news: Partial<WorkerNews>) => {
      if (news.weir === 'ready') settle(true);
    });
  });
