// Counts what happened, per second and series, and hands the windows out.

import type { EndpointSeries, Histogram, Sample, Series } from '#engine/model/telemetry.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { SampleFacts } from '#engine/ports/data-plane.ts';
import { DenialCounts } from './denial-counts.ts';

export interface Outcome {
  readonly rule: string;
  readonly service: string;
  readonly version: string;
  readonly source: string;
  readonly status: number;
  /** Beside what `status` says: gRPC has its own. */
  readonly isServerFault?: boolean | undefined;
  /** Envoy's response flag; empty if all went well. */
  readonly flag: string;
  readonly latencyMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
  /** The policy that refused the request, and its rule. */
  readonly policy?: string | undefined;
  readonly policyRule?: string | undefined;
}

/** Callers choose the source, so their number is bounded; the rest is counted together. */
const MAX_SOURCES = 256;
const OTHER = 'other';
/** Windows kept for a reader that does not come. */
const MAX_WINDOWS = 60;
/** News waits for so long, and what else comes meanwhile goes with it. */
const HASTE_MS = 100;

/** Bucket index = floor of log2(ms) * 8; this range is 2 µs to 18 hours. */
const LOWEST = -72;
const BUCKETS = 280;

/** Largest index whose bucket (2^(i/8), 2^((i+1)/8)] holds the value. */
export const bucketOf = (ms: number): number => Math.ceil(Math.log2(ms) * 8) - 1;

class Cell {
  readonly facts: Pick<Series, 'rule' | 'service' | 'version' | 'source'>;
  requests = 0;
  private errors = 0;
  private readonly statuses = new Map<number, number>();
  private readonly flags = new Map<string, number>();
  private readonly counts = new Uint32Array(BUCKETS);
  private zero = 0;
  private sum = 0;
  private requestBytes = 0;
  private responseBytes = 0;
  private retries = 0;

  constructor(facts: Pick<Series, 'rule' | 'service' | 'version' | 'source'>) {
    this.facts = facts;
  }

  add(outcome: Outcome): void {
    const { status, flag, latencyMs } = outcome;
    this.requests++;
    if (status >= 500 || outcome.isServerFault === true) this.errors++;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (flag !== '') this.flags.set(flag, (this.flags.get(flag) ?? 0) + 1);
    if (latencyMs <= 0) this.zero++;
    else {
      const index = Math.min(Math.max(bucketOf(latencyMs) - LOWEST, 0), BUCKETS - 1);
      this.counts[index] = (this.counts[index] as number) + 1;
    }
    this.sum += latencyMs;
    this.requestBytes += outcome.requestBytes;
    this.responseBytes += outcome.responseBytes;
    this.retries += outcome.retries;
  }

  take(): Series {
    const series: Series = {
      ...this.facts,
      requests: this.requests,
      errors: this.errors,
      statuses: Object.fromEntries(this.statuses),
      flags: Object.fromEntries(this.flags),
      latency: this.histogram(),
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      retries: this.retries,
    };
    this.requests = this.errors = this.zero = this.sum = 0;
    this.requestBytes = this.responseBytes = this.retries = 0;
    this.statuses.clear();
    this.flags.clear();
    this.counts.fill(0);
    return series;
  }

  private histogram(): Histogram {
    const buckets: number[] = [];
    for (let i = 0; i < BUCKETS; i++) {
      const count = this.counts[i] as number;
      if (count > 0) buckets.push(i + LOWEST, count);
    }
    return { zero: this.zero, buckets, sum: this.sum };
  }
}

export interface SamplesOptions {
  readonly clock: Clock;
  readonly reporter: Sample['reporter'];
  readonly revision: () => number;
  /** What single endpoints answered since it was last asked. */
  readonly endpoints?: () => readonly EndpointSeries[];
  readonly everyMs?: number;
}

export class Samples {
  private readonly options: SamplesOptions;
  /** By rule, then `service@version`, then source. */
  private cells = new Map<string, Map<string, Map<string, Cell>>>();
  private readonly denials = new DenialCounts();
  private windows: SampleFacts[] = [];
  private readonly waiting: ((result: IteratorResult<SampleFacts>) => void)[] = [];
  private startMs: number;
  private startedAt: number;
  private timer: NodeJS.Timeout | undefined;
  private early: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(options: SamplesOptions) {
    this.options = options;
    this.startMs = options.clock.now();
    this.startedAt = options.clock.monotonic();
  }

  start(): void {
    this.timer ??= setInterval(() => this.flush(), this.options.everyMs ?? 1000);
  }

  /** What has happened is worth knowing sooner than at the end of the window. */
  hasten(): void {
    if (this.timer === undefined || this.isClosed) return;
    this.early ??= setTimeout(() => this.flush(), HASTE_MS);
  }

  record(outcome: Outcome): void {
    this.cellOf(outcome).add(outcome);
    if (outcome.policy !== undefined) this.denials.add(outcome.policy, outcome.policyRule);
  }

  /** Ends the window; an empty one is not handed out. */
  flush(): void {
    clearTimeout(this.early);
    this.early = undefined;
    const { clock, reporter, revision } = this.options;
    const series: Series[] = [];
    for (const [rule, byUpstream] of this.cells) {
      for (const [upstream, bySource] of byUpstream) {
        for (const [source, cell] of bySource)
          if (cell.requests > 0) series.push(cell.take());
          else bySource.delete(source);
        if (bySource.size === 0) byUpstream.delete(upstream);
      }
      if (byUpstream.size === 0) this.cells.delete(rule);
    }
    const at = clock.monotonic();
    const endpoints = this.options.endpoints?.() ?? [];
    const denials = this.denials.take();
    const facts = {
      startMs: this.startMs,
      spanMs: Math.round(at - this.startedAt),
      reporter,
      revision: revision(),
      series,
      ...(endpoints.length > 0 && { endpoints }),
      ...(denials.length > 0 && { denials }),
    };
    this.startMs = clock.now();
    this.startedAt = at;
    if (series.length + endpoints.length > 0) this.hand(facts);
  }

  read(): AsyncIterable<SampleFacts> {
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => this.next(),
        return: () => Promise.resolve({ done: true, value: undefined }),
      }),
    };
  }

  close(): void {
    if (this.isClosed) return;
    clearInterval(this.timer);
    this.flush();
    this.isClosed = true;
    for (const resolve of this.waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  private next(): Promise<IteratorResult<SampleFacts>> {
    const window = this.windows.shift();
    if (window) return Promise.resolve({ done: false, value: window });
    if (this.isClosed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private hand(facts: SampleFacts): void {
    const resolve = this.waiting.shift();
    if (resolve) resolve({ done: false, value: facts });
    else this.windows.push(facts);
    if (this.windows.length > MAX_WINDOWS) this.windows.shift();
  }

  private cellOf(outcome: Outcome): Cell {
    const { rule, service, version } = outcome;
    let byUpstream = this.cells.get(rule);
    if (!byUpstream) this.cells.set(rule, (byUpstream = new Map()));
    const upstream = version === '' ? service : `${service}@${version}`;
    let bySource = byUpstream.get(upstream);
    if (!bySource) byUpstream.set(upstream, (bySource = new Map()));
    let { source } = outcome;
    let cell = bySource.get(source);
    if (cell) return cell;
    if (bySource.size >= MAX_SOURCES) {
      source = OTHER;
      cell = bySource.get(source);
      if (cell) return cell;
    }
    cell = new Cell({ rule, service, version, source });
    bySource.set(source, cell);
    return cell;
  }
}
