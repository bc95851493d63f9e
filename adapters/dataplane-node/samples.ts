// Counts what happened, per second and series, and hands the windows out.

import type { EndpointSeries, Sample, Series } from '#engine/model/telemetry.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { OutcomeFacts, SampleFacts } from '#engine/ports/data-plane.ts';
import { DenialCounts } from './denial-counts.ts';
import { StickyCounts } from './sticky-counts.ts';
import { Cell, isError, type Outcome } from './tally.ts';
import { ValueCounts } from './value-counts.ts';

/** Callers choose the source, so their number is bounded; the rest is counted together. */
const MAX_SOURCES = 256;
const OTHER = 'other';
/** Windows kept for a reader that does not come. */
const MAX_WINDOWS = 60;
/** News waits for so long, and what else comes meanwhile goes with it. */
const HASTE_MS = 100;

export interface SamplesOptions {
  readonly clock: Clock;
  readonly reporter: Sample['reporter'];
  readonly revision: () => number;
  /** What single endpoints answered since it was last asked. */
  readonly endpoints?: () => readonly EndpointSeries[];
  readonly everyMs?: number;
}

export class Samples {
  /** Numbers that answers carry. */
  readonly values = new ValueCounts();
  private readonly options: SamplesOptions;
  /** By rule, then `service@version`, then source. */
  private cells = new Map<string, Map<string, Map<string, Cell>>>();
  private readonly denials = new DenialCounts();
  private readonly audits = new DenialCounts();
  private readonly sticky = new StickyCounts();
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
    if (outcome.stickyPoint !== undefined && isError(outcome))
      this.sticky.add(outcome.service, outcome.stickyPoint);
    if (outcome.policy !== undefined) this.denials.add(outcome.policy, outcome.policyRule);
    if (outcome.audit !== undefined) this.audits.add(outcome.audit);
  }

  /** A connection that was recorded when it began has ended. */
  recordEnd(outcome: Outcome): void {
    this.cellOf(outcome).close(outcome);
  }

  /** Ends the window; an empty one is not handed out. */
  flush(): void {
    clearTimeout(this.early);
    this.early = undefined;
    const { clock, reporter, revision } = this.options;
    const series: Series[] = [];
    const outcomes: OutcomeFacts[] = [];
    for (const [rule, byUpstream] of this.cells) {
      for (const [upstream, bySource] of byUpstream) {
        for (const [source, cell] of bySource)
          if (cell.isIdle) bySource.delete(source);
          else series.push(cell.take(outcomes));
        if (bySource.size === 0) byUpstream.delete(upstream);
      }
      if (byUpstream.size === 0) this.cells.delete(rule);
    }
    const at = clock.monotonic();
    const endpoints = this.options.endpoints?.() ?? [];
    const denials = this.denials.take();
    const audits = this.audits.take().map(({ policy, requests }) => ({ says: policy, requests }));
    const values = this.values.take();
    const sticky = this.sticky.take();
    const facts = {
      startMs: this.startMs,
      spanMs: Math.round(at - this.startedAt),
      reporter,
      revision: revision(),
      series,
      outcomes,
      ...(endpoints.length > 0 && { endpoints }),
      ...(denials.length > 0 && { denials }),
      ...(audits.length > 0 && { audits }),
      ...(values.length > 0 && { values }),
      ...(sticky.length > 0 && { sticky }),
    };
    this.startMs = clock.now();
    this.startedAt = at;
    if (series.length + endpoints.length + values.length > 0) this.hand(facts);
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
