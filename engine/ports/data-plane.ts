// What enforces policy: Weir's own proxy, or another one that Weir drives.
import type { DecisionBody } from '../model/decision.ts';
import type { Feature } from '../model/features.ts';
import type { Scope } from '../model/scope.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Histogram, Sample } from '../model/telemetry.ts';

export type Capabilities = ReadonlySet<Feature>;

/** What is to be in force: one snapshot and the decisions made since. */
export interface PlaneView {
  readonly scope: Scope;
  readonly revision: number;
  /** Position of the newest message in it. */
  readonly position: number;
  readonly snapshot: Snapshot;
  /** By decision id; absolute, applied over the snapshot. */
  readonly overlay: ReadonlyMap<string, DecisionBody>;
}

export type SampleFacts = Pick<
  Sample,
  | 'startMs'
  | 'spanMs'
  | 'reporter'
  | 'revision'
  | 'series'
  | 'endpoints'
  | 'denials'
  | 'audits'
  | 'values'
  | 'sticky'
> & {
  /** The same requests by how they ended, for the agent's own metrics: these do not travel. */
  readonly outcomes?: readonly OutcomeFacts[];
};

/** Requests of one caller to one version that ended alike. */
export interface OutcomeFacts {
  readonly service: string;
  readonly version: string;
  readonly source: string;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  /** The caller has shown a certificate. */
  readonly isMutual: boolean;
  readonly status: number;
  /** Envoy's response flag; empty if all went well. */
  readonly flag: string;
  readonly grpcStatus: number | undefined;
  /** Of `tcp`: connections. */
  readonly requests: number;
  /** Connections that ended. */
  readonly closed: number;
  readonly latency: Histogram;
  /** Of bodies. Connections are in the sum only, when they have ended. */
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

export interface DataPlane {
  readonly capabilities: Capabilities;
  /**
   * Swapped in one assignment, in-flight requests untouched. Rejects and changes nothing when the view cannot be
   * enforced (port taken, bad certificate). Calls are made one after the other.
   */
  activate(view: PlaneView): Promise<void>;
  /** One per second while there is something to say; ends with `close`. */
  samples(): AsyncIterable<SampleFacts>;
  /**
   * Finishes what is under way, and cuts what is left at the deadline. For `acceptMs` of that time new connections are still
   * taken; every answer says that it is the last of its connection.
   */
  drain(deadlineMs: number, acceptMs?: number): Promise<void>;
  /** Safe to call twice and after a failed activation. */
  close(): Promise<void>;
}
