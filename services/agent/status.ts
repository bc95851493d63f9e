// Where an agent stands: what readiness, metrics and heartbeats are made of.
import type { Scope } from '#engine/model/scope.ts';
import type { Heartbeat } from '#engine/model/telemetry.ts';

export interface AgentStatus {
  readonly isReady: boolean;
  readonly agent: string;
  readonly scope: Scope;
  readonly state: Heartbeat['state'];
  readonly revision: number;
  readonly position: number;
  /** Since control last confirmed that nothing newer is in force. */
  readonly stalenessMs: number;
}
