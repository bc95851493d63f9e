// An agent's surroundings without sockets, disk or real time.
import type { DataPlane, PlaneView, SampleFacts } from '#engine/ports/data-plane.ts';
import type { LastGoodStore } from '#engine/ports/last-good.ts';
import { Queue } from '#engine/ports/queue.ts';

export interface FakePlane extends DataPlane {
  /** Every view that was put in force, in order. */
  readonly views: PlaneView[];
  readonly attempts: number;
  /** From now on `activate` throws this, until it is undefined again. */
  refuse: string | undefined;
  /** Deadline, and how long new connections are taken. */
  readonly drained: (readonly [deadlineMs: number, acceptMs: number | undefined])[];
  sample(facts: SampleFacts): void;
}

/** `journal` gets a word for every call, so that their order can be seen. */
export const createFakePlane = (journal: string[] = []): FakePlane => {
  const samples = new Queue<SampleFacts>();
  const views: PlaneView[] = [];
  const drained: FakePlane['drained'] = [];
  let attempts = 0;
  return {
    capabilities: new Set(['http', 'split']),
    views,
    drained,
    refuse: undefined,
    get attempts() {
      return attempts;
    },
    async activate(view) {
      journal.push('activate');
      attempts += 1;
      if (this.refuse !== undefined) throw new Error(this.refuse);
      views.push(view);
    },
    samples: () => samples,
    sample: (facts) => samples.push(facts),
    drain: async (deadlineMs, acceptMs) => void drained.push([deadlineMs, acceptMs]),
    close: async () => samples.close(),
  };
};

export interface MemoryLastGood extends LastGoodStore {
  /** Newest first. */
  readonly saved: (readonly Uint8Array[])[];
  readonly refused: string[];
  isFull: boolean;
}

export const createMemoryLastGood = (journal: string[] = []): MemoryLastGood => {
  const saved: (readonly Uint8Array[])[] = [];
  const refused: string[] = [];
  return {
    saved,
    refused,
    isFull: false,
    load: async () => saved.map((messages, index) => ({ name: `state ${index}`, messages })),
    async save(messages) {
      journal.push('save');
      if (this.isFull) throw new Error('no space left on device');
      saved.unshift(messages);
      saved.splice(2);
    },
    flush: async () => void journal.push('flush'),
    putAside: async ({ name }) => void refused.push(name),
  };
};

export const createManualTime = () => {
  let now = 1_000_000;
  const timers = new Set<{ readonly ms: number; due: number; readonly tick: () => void }>();
  return {
    now: () => now,
    monotonic: () => now,
    every: (ms: number, tick: () => void) => {
      const timer = { ms, due: now + ms, tick };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance: (ms: number): void => {
      now += ms;
      for (const timer of timers)
        while (timers.has(timer) && timer.due <= now) {
          timer.due += timer.ms;
          timer.tick();
        }
    },
  };
};
