// Who is out there: the fold of heartbeats and acks. Pure but for the clock readings it is given.
import type { AgentStatus } from '#engine/model/api.ts';
import type { EventType } from '#engine/model/event.ts';
import type { Feature } from '#engine/model/features.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Ack, Heartbeat, Workload } from '#engine/model/telemetry.ts';

/** An agent without a heartbeat for so long is lost, and what it served is gone. */
const LOST_AFTER_MS = 5_000;
/** A lost agent is still listed for so long. */
const FORGOTTEN_AFTER_MS = 3_600_000;

export interface Happening {
  readonly type: EventType;
  readonly agent: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AgentRecord {
  readonly beat: Heartbeat;
  readonly seenMs: number;
  readonly lost: boolean;
  /** Highest position it has reported, by ack or heartbeat. */
  readonly position: number;
  readonly revision: number;
  readonly lastRejection?: Pick<Ack, 'outcome' | 'reason' | 'atMs'>;
}

/** A workload that was known before this process started; it counts until its agent should have spoken again. */
export interface RememberedWorkload {
  readonly agent: string;
  readonly workload: Workload;
}

export class Fleet {
  readonly #agents = new Map<string, AgentRecord>();
  #remembered: readonly RememberedWorkload[] = [];
  #rememberedMs = 0;
  #isTouched = false;
  #compiledText = '';

  /** What a predecessor saw. */
  remember(workloads: readonly RememberedWorkload[], nowMs: number): void {
    this.#remembered = workloads;
    this.#rememberedMs = nowMs;
    this.#isTouched = true;
  }

  beat(beat: Heartbeat, nowMs: number): readonly Happening[] {
    const { agent } = beat;
    const known = this.#agents.get(agent);
    if (!known || known.lost || !servesTheSame(known.beat, beat)) this.#isTouched = true;
    this.#agents.set(agent, { ...progress(known, beat), beat, seenMs: nowMs, lost: false });
    const data = { scope: beat.scope, incarnation: beat.incarnation, version: beat.version };
    const happenings: Happening[] = [];
    if (!known || known.lost) happenings.push({ type: 'agent.joined', agent, data });
    if (beat.state === 'static' && known?.beat.state !== 'static')
      happenings.push({ type: 'agent.static', agent, data });
    return happenings;
  }

  ack(ack: Ack): readonly Happening[] {
    const known = this.#agents.get(ack.agent);
    if (known && known.beat.scope === ack.scope) {
      const isAhead = ack.appliedPosition >= known.position;
      const { outcome, reason, atMs } = ack;
      this.#agents.set(ack.agent, {
        ...known,
        ...(isAhead ? { position: ack.appliedPosition, revision: ack.revision } : {}),
        ...(outcome === 'rejected'
          ? { lastRejection: { outcome, atMs, ...(reason === undefined ? {} : { reason }) } }
          : {}),
      });
    }
    if (ack.outcome === 'applied') return [];
    const { scope, position, revision, reason } = ack;
    return [
      {
        type: `agent.${ack.outcome}`,
        agent: ack.agent,
        data: { scope, position, revision, reason: reason ?? '' },
      },
    ];
  }

  expire(nowMs: number): readonly Happening[] {
    const happenings: Happening[] = [];
    for (const [agent, record] of this.#agents) {
      const ageMs = nowMs - record.seenMs;
      if (ageMs > FORGOTTEN_AFTER_MS) this.#agents.delete(agent);
      if (record.lost || ageMs <= LOST_AFTER_MS) continue;
      this.#agents.set(agent, { ...record, lost: true });
      this.#isTouched = true;
      happenings.push({ type: 'agent.left', agent, data: { scope: record.beat.scope, ageMs } });
    }
    if (this.#remembered.length > 0 && nowMs - this.#rememberedMs > LOST_AFTER_MS) {
      this.#remembered = [];
      this.#isTouched = true;
    }
    return happenings;
  }

  /** We were deaf for a while (bus away, process stopped): silence until now says nothing about the agents. */
  excuse(nowMs: number): void {
    for (const [agent, record] of this.#agents)
      if (!record.lost) this.#agents.set(agent, { ...record, seenMs: nowMs });
    this.#rememberedMs = nowMs;
  }

  get agents(): ReadonlyMap<string, AgentRecord> {
    return this.#agents;
  }

  /** In the order of agent names, so that the same fleet compiles to the same bytes. */
  workloads(): readonly RememberedWorkload[] {
    const found = new Map<string, Workload>();
    for (const { agent, workload } of this.#remembered) found.set(agent, workload);
    for (const [agent, { beat, lost }] of this.#agents) {
      found.delete(agent);
      if (beat.workload && !lost && beat.state !== 'draining') found.set(agent, beat.workload);
    }
    return [...found]
      .map(([agent, workload]) => ({ agent, workload }))
      .toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  /** What every agent of the scope can enforce; undefined while none is known. */
  capabilities(scope: Scope): ReadonlySet<Feature> | undefined {
    let common: ReadonlySet<Feature> | undefined;
    for (const { beat, lost } of this.#agents.values()) {
      if (beat.scope !== scope || lost) continue;
      const theirs = new Set(beat.capabilities);
      common = common ? common.intersection(theirs) : theirs;
    }
    return common;
  }

  live(scope: Scope): readonly AgentRecord[] {
    return [...this.#agents.values()].filter(
      (record) => !record.lost && record.beat.scope === scope,
    );
  }

  /** Whether anything that compile looks at is different from the last time this was asked. */
  hasChanged(): boolean {
    if (!this.#isTouched) return false;
    this.#isTouched = false;
    const scopes = new Set([...this.#agents.values()].map(({ beat }) => beat.scope));
    const features = [...scopes]
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map((scope) => [scope, [...(this.capabilities(scope) ?? [])]]);
    const text = JSON.stringify([this.workloads(), features]);
    if (text === this.#compiledText) return false;
    this.#compiledText = text;
    return true;
  }

  /** `nowMs` is of the clock that beats were noted by; `clockMs` is what the wall says now. */
  statuses(
    nowMs: number,
    positionOf: (scope: Scope, agent: string) => number,
    clockMs = nowMs,
  ): readonly AgentStatus[] {
    return [...this.#agents.values()]
      .map(
        ({ beat, lost, seenMs, position, revision, lastRejection }): AgentStatus => ({
          agent: beat.agent,
          scope: beat.scope,
          revision,
          position,
          version: beat.version,
          state: lost ? 'lost' : beat.state,
          ageMs: Math.max(0, Math.round(nowMs - seenMs)),
          clockAheadMs: Math.round(beat.atMs - (clockMs - nowMs + seenMs)),
          current: position === positionOf(beat.scope, beat.agent),
          ...(lastRejection ? { lastRejection } : {}),
        }),
      )
      .toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }
}

const servesTheSame = (before: Heartbeat, now: Heartbeat): boolean =>
  before.scope === now.scope &&
  (before.state === 'draining') === (now.state === 'draining') &&
  before.capabilities.length === now.capabilities.length &&
  JSON.stringify(before.workload) === JSON.stringify(now.workload) &&
  before.capabilities.every((feature, index) => feature === now.capabilities[index]);

/** What an agent has applied. An ack may be ahead of a heartbeat that was written before it; a new start begins anew. */
const progress = (
  known: AgentRecord | undefined,
  { incarnation, scope, position, revision }: Heartbeat,
): Pick<AgentRecord, 'position' | 'revision' | 'lastRejection'> => {
  if (known?.beat.incarnation !== incarnation || known.beat.scope !== scope)
    return { position, revision };
  const isAhead = known.position > position;
  return {
    position: isAhead ? known.position : position,
    revision: isAhead ? known.revision : revision,
    ...(known.lastRejection ? { lastRejection: known.lastRejection } : {}),
  };
};
