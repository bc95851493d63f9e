// What agents say: acks, samples and heartbeats.
import type { Feature } from './features.ts';
import type { Scope } from './scope.ts';

export interface Ack {
  readonly v: 1;
  readonly type: 'ack';
  readonly agent: string;
  readonly scope: Scope;
  readonly message: 'snapshot' | 'decision' | 'trial' | 'unreadable';
  /**
   * applied: in force. orphan: the decision's basis is not the active revision. stale: position not above the last
   * applied one. rejected: bad signature, malformed, wrong scope, or the data plane refused it.
   */
  readonly outcome: 'applied' | 'orphan' | 'stale' | 'rejected';
  readonly position: number;
  /** Active revision after the message. */
  readonly revision: number;
  /** Position of the last applied message. */
  readonly appliedPosition: number;
  /** From receipt to in force. */
  readonly tookMs: number;
  /** From control's publishing to in force, by the two clocks. */
  readonly lagMs: number;
  readonly atMs: number;
  readonly reason?: string;
}

/** One message per agent and second. Lossy by design; numbers are of this window only. */
export interface Sample {
  readonly v: 1;
  readonly type: 'sample';
  readonly agent: string;
  readonly scope: Scope;
  /** Changes at every start of the agent, so that `window` may start anew. */
  readonly incarnation: string;
  /** Grows by one per message of an incarnation: a reader notices loss and duplicates. */
  readonly sequence: number;
  /** Start of the window, milliseconds since 1970 by the agent's clock. */
  readonly startMs: number;
  readonly spanMs: number;
  /** `source` counts what it sent to upstreams, `destination` what its own workload received. */
  readonly reporter: 'source' | 'destination';
  readonly revision: number;
  readonly series: readonly Series[];
  /** What single endpoints answered, of Services whose outlier detection is shared; absent if there is nothing to tell. */
  readonly endpoints?: readonly EndpointSeries[];
  /** What policies refused, at most 64 entries; absent if nothing. The series count these requests too. */
  readonly denials?: readonly Denial[];
  /** What policies that only watch would have done, at most 64 entries; absent if nothing. */
  readonly audits?: readonly Audit[];
  /** Numbers that answers carried, by metric of a Rollout; absent if none. */
  readonly values?: readonly ValueSeries[];
  /** Errors by group of callers who stay with their version; absent if none. */
  readonly sticky?: readonly StickyErrors[];
}

export interface StickyErrors {
  /** `namespace/service` */
  readonly service: string;
  /** Sparse: group (sticky.ts), count, group, count, ... */
  readonly errors: readonly number[];
}

export interface ValueSeries {
  /** `namespace/service` */
  readonly service: string;
  readonly version: string;
  readonly metric: string;
  readonly count: number;
  readonly sum: number;
  /** Sum of the squares. */
  readonly squares: number;
  /** Answers whose value was no number, out of its range or there twice; absent if none. */
  readonly refused?: number;
}

export interface Audit {
  /** `Authorization/bibby/readers rule 0 would deny`; of several policies one after the other. */
  readonly says: string;
  readonly requests: number;
}

export interface Denial {
  /** `Authorization/bibby/readers`; several where a rule of any of them could have allowed it. */
  readonly policy: string;
  /** Place in the policy's list; empty where none of its rules is to blame. */
  readonly rule: string;
  readonly requests: number;
}

/** Every try counts, retried ones too. */
export interface EndpointSeries {
  /** `namespace/service@version/address:port` */
  readonly endpoint: string;
  readonly requests: number;
  /** Tries without an answer, and those whose status the Service's outlier detection counts as an error. */
  readonly failures: number;
}

export interface Series {
  /** Rule id: the endpoint group. */
  readonly rule: string;
  /** `namespace/service`; empty for local replies. */
  readonly service: string;
  readonly version: string;
  /** Who called: principal or workload; `unknown` otherwise. */
  readonly source: string;
  readonly requests: number;
  /** 5xx and transport failures after retries: what the caller saw. */
  readonly errors: number;
  /** By response code. */
  readonly statuses: Readonly<Record<string, number>>;
  /** By response code and flag (`503 UF`, `504 UT`, ...); requests without a flag are not in it. */
  readonly flags: Readonly<Record<string, number>>;
  readonly latency: Histogram;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
  /** Turned away to protect the service or the proxy itself; absent if none. */
  readonly sheds?: number;
}

/** OpenTelemetry exponential histogram, scale 3, of milliseconds: bucket i holds (2^(i/8), 2^((i+1)/8)]. */
export interface Histogram {
  /** Values that are 0. */
  readonly zero: number;
  /** Sparse, ascending: index, count, index, count, ... */
  readonly buckets: readonly number[];
  readonly sum: number;
}

export interface Heartbeat {
  readonly v: 1;
  readonly type: 'alive';
  readonly agent: string;
  readonly scope: Scope;
  readonly incarnation: string;
  readonly atMs: number;
  readonly revision: number;
  readonly position: number;
  /** live: following control. static: serving the last good state, bus out of reach. starting: nothing to serve yet. */
  readonly state: 'live' | 'static' | 'starting' | 'draining';
  readonly capabilities: readonly Feature[];
  readonly workload?: Workload;
  /** Issuers whose tokens named keys that the snapshot lacks, since the last heartbeat: control may want to fetch again. */
  readonly unknownKeys?: readonly string[];
  readonly version: string;
}

/** What a sidecar announces for the application beside it. */
export interface Workload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where its endpoints stand, as region/zone. */
  readonly locality?: string;
  readonly endpoints: readonly { readonly address: string; readonly port: number }[];
}

/** The leader's word to all readers, every second: the last sequence of each stream. */
export interface ControlHeartbeat {
  readonly v: 1;
  readonly type: 'control-alive';
  readonly instance: string;
  readonly epoch: number;
  readonly atMs: number;
  readonly revision: number;
  readonly sequences: Readonly<Record<string, number>>;
}
