// Passive health: endpoints that fail real requests are ejected for a while. Envoy's meaning throughout.
import type { OutlierPlan } from '#engine/model/snapshot.ts';
import { Deadline, type Deadlines } from '../deadlines.ts';
import type { EndpointState } from './endpoint.ts';

export interface Outcome {
  readonly endpoint: EndpointState;
  /** 0: no answer, which counts as a gateway error. */
  readonly status: number;
  readonly now: number;
}

interface Deps {
  readonly deadlines: Deadlines;
  readonly monotonic: () => number;
}

/** Whether the plan counts it against the endpoint. */
export const isFailure = (plan: OutlierPlan, status: number): boolean => {
  if (status === 0) return true;
  const onlyGateway = plan.consecutive5xxErrors === 0 && plan.consecutiveGatewayErrors > 0;
  return onlyGateway ? status >= 502 && status <= 504 : status >= 500;
};

class Record {
  run5xx = 0;
  runGateway = 0;
  /** Times ejected lately; comes down by one per sweep spent in good health. */
  times = 0;
  ejectedAt = 0;
  requests = 0;
  successes = 0;
}

export class OutlierDetector extends Deadline {
  private readonly deps: Deps;
  private readonly onChange: () => void;
  private readonly records = new Map<EndpointState, Record>();
  private plan: OutlierPlan | undefined;
  private all: ReadonlyMap<string, EndpointState> = new Map();

  constructor(deps: Deps, onChange: () => void) {
    super();
    this.deps = deps;
    this.onChange = onChange;
  }

  /** A run of errors ejects at once; `interval` is only the sweep. */
  report(plan: OutlierPlan, all: ReadonlyMap<string, EndpointState>, outcome: Outcome): void {
    this.plan = plan;
    this.all = all;
    const { endpoint, status, now } = outcome;
    let record = this.records.get(endpoint);
    if (!record) this.records.set(endpoint, (record = new Record()));
    this.watch(now);
    record.requests++;
    const isGatewayError = status === 0 || (status >= 502 && status <= 504);
    record.runGateway = isGatewayError ? record.runGateway + 1 : 0;
    if (status !== 0 && status < 500) {
      record.run5xx = 0;
      record.successes++;
      return;
    }
    record.run5xx++;
    if (reached(record.run5xx, plan.consecutive5xxErrors)) {
      record.run5xx = 0;
      this.eject(endpoint, record, now);
    } else if (reached(record.runGateway, plan.consecutiveGatewayErrors)) {
      record.runGateway = 0;
      this.eject(endpoint, record, now);
    }
  }

  onDue(now: number): void {
    if (!this.plan) return;
    this.sweep(this.plan, now);
    this.deps.deadlines.arm(this, now + this.plan.intervalMs);
  }

  /** Detection is off: everybody comes back. */
  close(): void {
    this.deps.deadlines.disarm(this);
    this.plan = undefined;
    for (const endpoint of this.records.keys()) endpoint.isEjected = false;
    this.records.clear();
  }

  private watch(now: number): void {
    if (this.plan && this.slotAt === Number.POSITIVE_INFINITY)
      this.deps.deadlines.arm(this, now + this.plan.intervalMs);
  }

  private eject(endpoint: EndpointState, record: Record, now: number): void {
    const plan = this.plan;
    if (!plan || endpoint.isEjected || !this.mayEject(plan)) return;
    endpoint.isEjected = true;
    record.times++;
    record.ejectedAt = now;
    this.onChange();
  }

  /** `maxEjectionPercent` of the endpoints, but one is always allowed. */
  private mayEject(plan: OutlierPlan): boolean {
    let ejected = 0;
    let healthy = 0;
    for (const each of this.all.values()) {
      if (each.isEjected) ejected++;
      if (each.isUsable) healthy++;
    }
    if (healthy * 100 < this.all.size * plan.minHealthPercent) return false;
    return ejected === 0 || (ejected + 1) * 100 <= this.all.size * plan.maxEjectionPercent;
  }

  private sweep(plan: OutlierPlan, now: number): void {
    let changed = false;
    for (const [endpoint, record] of this.records) {
      if (!endpoint.isListed) {
        this.records.delete(endpoint);
        continue;
      }
      if (!endpoint.isEjected) {
        if (record.times > 0) record.times--;
        continue;
      }
      const ejectionMs = Math.min(plan.baseEjectionTimeMs * record.times, longest(plan));
      if (now - record.ejectedAt < ejectionMs) continue;
      endpoint.isEjected = false;
      endpoint.since = now;
      record.run5xx = record.runGateway = 0;
      changed = true;
    }
    if (changed) this.onChange();
    this.ejectByRatio(plan, now);
    for (const record of this.records.values()) record.requests = record.successes = 0;
  }

  private ejectByRatio(plan: OutlierPlan, now: number): void {
    const rates = (volume: number) =>
      [...this.records]
        .filter(([endpoint, record]) => !endpoint.isEjected && record.requests >= volume)
        .map(([endpoint, record]) => ({
          endpoint,
          record,
          rate: (100 * record.successes) / record.requests,
        }));
    if (plan.successRate) {
      const { minimumHosts, requestVolume, stdevFactor } = plan.successRate;
      const hosts = rates(requestVolume);
      if (hosts.length >= minimumHosts) {
        const mean = hosts.reduce((sum, each) => sum + each.rate, 0) / hosts.length;
        const variance =
          hosts.reduce((sum, each) => sum + (each.rate - mean) ** 2, 0) / hosts.length;
        const least = mean - stdevFactor * Math.sqrt(variance);
        for (const each of hosts)
          if (each.rate < least) this.eject(each.endpoint, each.record, now);
      }
    }
    if (plan.failurePercentage) {
      const { minimumHosts, requestVolume, threshold } = plan.failurePercentage;
      const hosts = rates(requestVolume);
      if (hosts.length >= minimumHosts)
        for (const each of hosts)
          if (100 - each.rate >= threshold) this.eject(each.endpoint, each.record, now);
    }
  }
}

const reached = (run: number, limit: number): boolean => limit > 0 && run >= limit;
const longest = (plan: OutlierPlan): number =>
  Math.max(plan.maxEjectionTimeMs, plan.baseEjectionTimeMs);
