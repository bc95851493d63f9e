// All breakers of the fleet, for the term of one leader: what agents tell goes in, decisions and events come out. What has
// been decided is on record first; decisions are compared with the record every second, so a crash between the two heals.
import { heldBreaker } from '#engine/machines/breaker.ts';
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
import { EngineError, reasonOf } from '#engine/model/errors.ts';
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
const TOLD_MS = 3_600_000;

/** An upstream or an endpoint of which nothing is known but what was decided. */
interface Lost {
  readonly name: string;
  readonly reason: string;
}

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
  #lost: readonly Lost[] = [];
  #lostMs = 0;
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

  /** Of upstreams and endpoints whose state on record could not be read when this term began, for an hour. */
  get lost(): readonly Lost[] {
    return this.#deps.time.monotonic() - this.#lostMs < TOLD_MS ? this.#lost : [];
  }

  /** Takes up every breaker where the last leader left it. Of one that cannot be read, what was decided about it holds on. */
  async begin(term: Term): Promise<void> {
    const { machines, onError, ring, events, time } = this.#deps;
    const lost: Lost[] = [];
    const note = (name: string, error: unknown): void => {
      onError(`breakers ${name}`, error);
      lost.push({ name, reason: reasonOf(error) });
    };
    const stored = await machines.takeUp(PREFIX, term.epoch, note);
    const records = recordsIn(stored, note);
    const breakers: Record<string, BreakerState> = Object.assign(
      {},
      ...records.map((one) => one.breakers),
    );
    for (const { body } of standingOf(ring.standing.values()))
      if (body.state !== 'closed') breakers[body.target] ??= heldBreaker(body.target, time.now());
    for (const { name, reason } of lost)
      events.tell({ type: 'state.unreadable', subject: name, data: { machine: PREFIX, reason } });
    this.#state = { v: 1, breakers };
    this.#untold = records.flatMap((one) => one.untold);
    this.#lost = lost;
    this.#lostMs = time.monotonic();
    this.#saved.clear();
    // Written anew, or removed if there is nothing left to say.
    for (const name of [...stored.keys(), ...lost.map(({ name }) => name)])
      this.#saved.set(name, '');
    this.#term = term;
  }

  end(): void {
    this.#term = undefined;
    this.#state = noBreakers;
    this.#untold = [];
    this.#lost = [];
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

/** What leaders have recorded: for those that do not lead. */
export const loadBreakers = async (
  machines: MachineStore,
): Promise<{ readonly records: readonly BreakerRecord[]; readonly lost: readonly Lost[] }> => {
  const lost: Lost[] = [];
  const note = (name: string, error: unknown): void => {
    lost.push({ name, reason: (error as Error).message });
  };
  return { records: recordsIn(await machines.load(PREFIX, note), note), lost };
};

const recordsIn = (
  stored: ReadonlyMap<string, unknown>,
  onUnreadable: (name: string, error: unknown) => void,
): readonly BreakerRecord[] =>
  [...stored.values()].map((value) => {
    const untold = (value as Partial<BreakerRecord> | null)?.untold;
    const read = readBreakers(value, (endpoint) =>
      onUnreadable(endpoint, new Error('it is of another release')),
    );
    return { ...read, untold: Array.isArray(untold) ? untold : [] };
  });

type BreakerBody = Extract<StandingDecision['body'], { type: 'breaker' }>;

const standingOf = (all: Iterable<StandingDecision>) =>
  [...all].flatMap(({ id, body }) => (body.type === 'breaker' ? [{ id, body }] : []));

const isSame = (standing: StandingDecision | undefined, { state, prober }: BreakerBody): boolean =>
  standing?.body.type === 'breaker' &&
  standing.body.state === state &&
  standing.body.prober === prober;
