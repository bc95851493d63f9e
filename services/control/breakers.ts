// All breakers of the fleet, for the term of one leader: what agents tell goes in, decisions and events come out. What has
// been decided is on record first; decisions are compared with the record every second, so a crash between the two heals.

import type { BreakerEffect, BreakerState } from '#engine/machines/breaker-types.ts';
import {
  advanceBreakers,
  type Breakers,
  type BreakersEvent,
  lastingBreakers,
  noBreakers,
  readBreakers,
  standingBreakers,
} from '#engine/machines/breakers.ts';
import { decisionId, type StandingDecision } from '#engine/model/decision.ts';
import { upstreamOf } from '#engine/model/endpoint.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { sharedUpstreams } from './breaker-plans.ts';
import type { Events } from './events.ts';
import type { Fleet } from './fleet.ts';
import type { Term } from './leadership.ts';
import type { MachineStore } from './machine-store.ts';
import type { PolicyLog } from './policy-log.ts';
import type { Ring } from './ring.ts';
import type { Time } from './time.ts';

const PREFIX = 'breakers';
const BY = 'breaker';
/** What an agent measured so long ago says little about now: it was cut off from the bus. */
const MAX_AGE_MS = 5_000;

type Announcement = Extract<BreakerEffect, { type: 'event' }>;

/** Persisted as JSON, one record per upstream. */
interface BreakerRecord extends Breakers {
  /** Happened, perhaps not yet told. */
  readonly untold: readonly Untold[];
}
interface Untold extends Announcement {
  /** The same every time it is told. */
  readonly key: string;
}

export interface FleetBreakersDeps {
  readonly ring: Ring;
  readonly fleet: Fleet;
  readonly policy: PolicyLog;
  readonly machines: MachineStore;
  readonly events: Events;
  readonly time: Time;
  readonly onError: (where: string, error: unknown) => void;
}

export class FleetBreakers {
  readonly #deps: FleetBreakersDeps;
  #term: Term | undefined;
  #state: Breakers = noBreakers;
  #upstreams: ReturnType<typeof sharedUpstreams> = new Map();
  #untold: readonly Untold[] = [];
  /** Text of the record of each upstream. */
  readonly #saved = new Map<string, string>();
  #work: Promise<void> = Promise.resolve();

  constructor(deps: FleetBreakersDeps) {
    this.#deps = deps;
  }

  get state(): Breakers {
    return this.#state;
  }

  get isRunning(): boolean {
    return this.#term?.isValid() === true;
  }

  /** Takes up every breaker where the last leader left it. */
  async begin(term: Term): Promise<void> {
    const { machines, onError } = this.#deps;
    const records = await loadBreakers(machines, onError);
    this.#state = { v: 1, breakers: Object.assign({}, ...records.map((one) => one.breakers)) };
    this.#untold = records.flatMap((one) => one.untold);
    this.#saved.clear();
    this.#term = term;
  }

  end(): void {
    this.#term = undefined;
    this.#state = noBreakers;
    this.#untold = [];
  }

  observe(sample: Sample): void {
    if (!this.#term || !sample.endpoints?.length || !this.#isCurrent(sample)) return;
    this.#advance({ type: 'sample', sample, nowMs: this.#deps.time.now() });
    if (this.#untold.length > 0) void this.#settle();
  }

  /** Once a second. */
  async tick(): Promise<void> {
    const { ring, fleet, policy, time } = this.#deps;
    if (!this.#term || !ring.result || policy.isLost) return;
    this.#upstreams = sharedUpstreams(ring.result.snapshots, fleet);
    this.#advance({ type: 'tick', nowMs: time.now() });
    await this.#settle();
  }

  /** Throws ERR_REQUEST_INVALID for what cannot be done. */
  async force(
    type: 'forceOpen' | 'forceClose',
    asked: { readonly endpoint: string; readonly by: string; readonly why: string },
  ): Promise<void> {
    const refused = this.#advance({ type, ...asked, nowMs: this.#deps.time.now() });
    if (refused !== undefined)
      throw new EngineError('ERR_REQUEST_INVALID', refused, { source: 'caller' });
    await this.#settle();
  }

  #advance(event: BreakersEvent): string | undefined {
    const { state, effects, refused } = advanceBreakers(this.#state, event, this.#upstreams);
    this.#state = state;
    const happened = effects.filter((effect) => effect.type === 'event');
    this.#untold = [...this.#untold, ...happened.map((effect) => this.#named(effect))];
    return refused;
  }

  #named(effect: Announcement): Untold {
    const endpoint = String(effect.data['endpoint']);
    const { changedMs, openings } = this.#state.breakers[endpoint]?.context ?? {};
    return { ...effect, key: `${endpoint}:${effect.event}:${openings ?? 0}:${changedMs ?? 0}` };
  }

  /** Record, decide, tell: one after the other, and what fails is tried again with the next second. */
  #settle(): Promise<void> {
    this.#work = this.#work.then(async () => {
      if (!this.#term?.isValid()) return;
      try {
        await this.#save(this.#term);
        await this.#decide();
        await this.#tell();
      } catch (error) {
        this.#deps.onError('breakers', error);
      }
    });
    return this.#work;
  }

  async #save({ epoch }: Term): Promise<void> {
    const { machines } = this.#deps;
    const records = this.#records();
    for (const [upstream, record] of records) {
      const text = JSON.stringify(record);
      if (this.#saved.get(upstream) === text) continue;
      await machines.save(PREFIX, upstream, epoch, record);
      this.#saved.set(upstream, text);
    }
    for (const upstream of this.#saved.keys())
      if (!records.has(upstream)) {
        await machines.remove(PREFIX, upstream, epoch);
        this.#saved.delete(upstream);
      }
  }

  #records(): ReadonlyMap<string, BreakerRecord> {
    const records = new Map<string, { breakers: Record<string, BreakerState>; untold: Untold[] }>();
    const of = (endpoint: string) => {
      const upstream = upstreamOf(endpoint);
      const known = records.get(upstream) ?? { breakers: {}, untold: [] };
      records.set(upstream, known);
      return known;
    };
    for (const [endpoint, state] of Object.entries(lastingBreakers(this.#state)))
      of(endpoint).breakers[endpoint] = state;
    for (const one of this.#untold) of(String(one.data['endpoint'])).untold.push(one);
    return new Map([...records].map(([upstream, record]) => [upstream, { v: 1, ...record }]));
  }

  /** Makes the standing decisions say what the breakers say. */
  async #decide(): Promise<void> {
    const { ring } = this.#deps;
    const gone: string[] = [];
    const wanted = new Map(
      standingBreakers(this.#state).flatMap((effect) =>
        effect.type === 'breaker' ? [[decisionId(effect.body), effect] as const] : [],
      ),
    );
    for (const { id, body } of standingOf(ring.standing.values())) {
      if (wanted.has(id)) continue;
      const isServed = this.#upstreams
        .get(upstreamOf(body.target))
        ?.endpoints.includes(body.target);
      if (!isServed) gone.push(id);
      else if (body.state !== 'closed') {
        const reason =
          this.#state.breakers[body.target]?.context.reason ?? 'nothing is known of it';
        await ring.decide({ ...body, state: 'closed' }, { by: BY, reason });
      }
    }
    for (const [id, { body, reason }] of wanted)
      if (!isSame(ring.standing.get(id), body)) await ring.decide(body, { by: BY, reason });
    if (gone.length > 0) await ring.withdraw(gone, 'the endpoint is gone, or no longer shared');
  }

  async #tell(): Promise<void> {
    for (const one of this.#untold) {
      const { event, data, key } = one;
      await this.#deps.events.tellOnce({
        type: event,
        subject: String(data['endpoint']),
        data,
        id: key,
      });
      this.#untold = this.#untold.filter((other) => other !== one);
    }
  }

  /** Judged by the agent's own clock, as its last heartbeat showed it. */
  #isCurrent({ agent, scope, startMs, spanMs }: Sample): boolean {
    const known = this.#deps.fleet.agents.get(agent);
    if (!known || known.lost || known.beat.scope !== scope) return false;
    const clockMs = known.beat.atMs + this.#deps.time.monotonic() - known.seenMs;
    return clockMs - startMs - spanMs <= MAX_AGE_MS;
  }
}

/** What leaders have recorded; what cannot be read begins closed. */
export const loadBreakers = async (
  machines: MachineStore,
  onError: (where: string, error: unknown) => void,
): Promise<readonly BreakerRecord[]> => {
  const stored = await machines.load(PREFIX, (name, error) => onError(`breakers ${name}`, error));
  return [...stored.values()].map((value) => {
    const untold = (value as Partial<BreakerRecord> | null)?.untold;
    return { ...readBreakers(value), untold: Array.isArray(untold) ? untold : [] };
  });
};

type BreakerBody = Extract<StandingDecision['body'], { type: 'breaker' }>;

const standingOf = (all: Iterable<StandingDecision>) =>
  [...all].flatMap(({ id, body }) => (body.type === 'breaker' ? [{ id, body }] : []));

const isSame = (standing: StandingDecision | undefined, { state, prober }: BreakerBody): boolean =>
  standing?.body.type === 'breaker' &&
  standing.body.state === state &&
  standing.body.prober === prober;
