// What happened in one window to requests that are counted together, and how each way to end went.
import type { Histogram, Series } from '#engine/model/telemetry.ts';
import type { OutcomeFacts } from '#engine/ports/data-plane.ts';

export interface Outcome {
  readonly rule: string;
  readonly service: string;
  readonly version: string;
  readonly source: string;
  readonly protocol: OutcomeFacts['protocol'];
  /** The caller has shown a certificate. */
  readonly isMutual: boolean;
  readonly status: number;
  /** Undefined for what is no call of gRPC. */
  readonly grpcStatus: number | undefined;
  /** Beside what `status` says: gRPC has its own. */
  readonly isServerFault?: boolean | undefined;
  /** Envoy's response flag; empty if all went well. */
  readonly flag: string;
  readonly latencyMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
  /** Of a caller who stays with a version. */
  readonly stickyPoint?: number | undefined;
  /** The policy that refused the request, and its rule. */
  readonly policy?: string | undefined;
  readonly policyRule?: string | undefined;
  /** What policies that only watch would have done. */
  readonly audit?: string | undefined;
}

type Name = Pick<Series, 'rule' | 'service' | 'version' | 'source'>;

/** Bucket index = floor of log2(ms) * 8; this range is 2 µs to 18 hours. */
const LOWEST = -72;
const BUCKETS = 280;
/** One byte to 4 MB. */
const SIZE_BUCKETS = 176;

/** Services choose their codes, so ways to end are bounded; the rest is counted by the first digit. */
const MAX_OUTCOMES = 48;

/** What the proxy turned away to protect itself or the service: the pool is full, or the machine is. */
const SHEDDING: ReadonlySet<string> = new Set(['UO', 'OM']);

export const isError = ({ status, isServerFault }: Outcome): boolean =>
  status >= 500 || isServerFault === true;

/** Largest index whose bucket (2^(i/8), 2^((i+1)/8)] holds the value. */
export const bucketOf = (value: number): number => Math.ceil(Math.log2(value) * 8) - 1;

class Buckets {
  readonly counts: Uint32Array;
  private readonly lowest: number;
  zero = 0;
  sum = 0;

  constructor(lowest: number, size: number) {
    this.lowest = lowest;
    this.counts = new Uint32Array(size);
  }

  add(value: number): void {
    this.sum += value;
    if (value <= 0) {
      this.zero++;
      return;
    }
    const { counts, lowest } = this;
    const index = Math.min(Math.max(bucketOf(value) - lowest, 0), counts.length - 1);
    counts[index] = (counts[index] as number) + 1;
  }

  join(other: Buckets): void {
    for (let i = 0; i < this.counts.length; i++)
      this.counts[i] = (this.counts[i] as number) + (other.counts[i] as number);
    this.zero += other.zero;
    this.sum += other.sum;
  }

  clear(): void {
    this.counts.fill(0);
    this.zero = this.sum = 0;
  }

  histogram(): Histogram {
    const buckets: number[] = [];
    for (let i = 0; i < this.counts.length; i++) {
      const count = this.counts[i] as number;
      if (count > 0) buckets.push(i + this.lowest, count);
    }
    return { zero: this.zero, buckets, sum: rounded(this.sum) };
  }
}

/** A thousandth is enough, and shorter on the wire. */
const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/** Requests that ended alike. */
class Tally {
  readonly status: number;
  readonly flag: string;
  readonly grpcStatus: number | undefined;
  readonly protocol: Outcome['protocol'];
  readonly isMutual: boolean;
  requests = 0;
  closed = 0;
  readonly latency = new Buckets(LOWEST, BUCKETS);
  readonly requestBytes = new Buckets(0, SIZE_BUCKETS);
  readonly responseBytes = new Buckets(0, SIZE_BUCKETS);

  constructor({ protocol, isMutual, flag, grpcStatus }: Outcome, status: number) {
    this.protocol = protocol;
    this.isMutual = isMutual;
    this.status = status;
    this.flag = flag;
    this.grpcStatus = grpcStatus;
  }

  holds(outcome: Outcome, status: number): boolean {
    return (
      this.status === status &&
      this.flag === outcome.flag &&
      this.grpcStatus === outcome.grpcStatus &&
      this.protocol === outcome.protocol &&
      this.isMutual === outcome.isMutual
    );
  }

  facts({ service, version, source }: Name): OutcomeFacts {
    return {
      service,
      version,
      source,
      protocol: this.protocol,
      isMutual: this.isMutual,
      status: this.status,
      flag: this.flag,
      grpcStatus: this.grpcStatus,
      requests: this.requests,
      closed: this.closed,
      latency: this.latency.histogram(),
      requestBytes: this.requestBytes.histogram(),
      responseBytes: this.responseBytes.histogram(),
    };
  }

  clear(): void {
    this.requests = this.closed = 0;
    this.latency.clear();
    this.requestBytes.clear();
    this.responseBytes.clear();
  }
}

/** One series of a window. */
export class Cell {
  private readonly name: Name;
  private tallies: Tally[] = [];
  private events = 0;
  private errors = 0;
  private retries = 0;

  constructor(name: Name) {
    this.name = name;
  }

  get isIdle(): boolean {
    return this.events === 0;
  }

  add(outcome: Outcome): void {
    this.events++;
    if (isError(outcome)) this.errors++;
    this.retries += outcome.retries;
    const tally = this.tallyOf(outcome, outcome.status);
    tally.requests++;
    tally.latency.add(outcome.latencyMs);
    // A connection's bytes are known when it is over.
    if (outcome.protocol === 'tcp') return;
    tally.requestBytes.add(outcome.requestBytes);
    tally.responseBytes.add(outcome.responseBytes);
  }

  /** The end of a connection that was counted when it began. */
  close(outcome: Outcome): void {
    this.events++;
    const tally = this.tallyOf(outcome, outcome.status);
    tally.closed++;
    tally.requestBytes.sum += outcome.requestBytes;
    tally.responseBytes.sum += outcome.responseBytes;
  }

  /** Ends the window. */
  take(outcomes: OutcomeFacts[]): Series {
    const statuses: Record<string, number> = {};
    const flags: Record<string, number> = {};
    const latency = new Buckets(LOWEST, BUCKETS);
    let requests = 0;
    let requestBytes = 0;
    let responseBytes = 0;
    let sheds = 0;
    for (const tally of this.tallies) {
      const { status, flag } = tally;
      if (tally.requests > 0) {
        requests += tally.requests;
        statuses[status] = (statuses[status] ?? 0) + tally.requests;
        if (flag !== '') {
          const pair = `${status} ${flag}`;
          flags[pair] = (flags[pair] ?? 0) + tally.requests;
          if (SHEDDING.has(flag)) sheds += tally.requests;
        }
        latency.join(tally.latency);
      }
      requestBytes += tally.requestBytes.sum;
      responseBytes += tally.responseBytes.sum;
      if (tally.requests + tally.closed > 0) outcomes.push(tally.facts(this.name));
    }
    const { errors, retries } = this;
    this.clear();
    return {
      ...this.name,
      requests,
      errors,
      statuses,
      flags,
      latency: latency.histogram(),
      requestBytes,
      responseBytes,
      retries,
      ...(sheds > 0 && { sheds }),
    };
  }

  private clear(): void {
    this.events = this.errors = this.retries = 0;
    // What did not happen in this window will hardly happen in the next.
    this.tallies = this.tallies.filter((tally) => tally.requests > 0);
    for (const tally of this.tallies) tally.clear();
  }

  private tallyOf(outcome: Outcome, status: number): Tally {
    for (const tally of this.tallies) if (tally.holds(outcome, status)) return tally;
    if (this.tallies.length >= MAX_OUTCOMES && status % 100 !== 0)
      return this.tallyOf(outcome, status - (status % 100));
    const tally = new Tally(outcome, status);
    this.tallies.push(tally);
    return tally;
  }
}
