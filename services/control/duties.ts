// What a control process does about each thing that happens. A leader acts; a follower keeps the same picture, ready.

import type { ControlMessage } from '#engine/model/control-message.ts';
import { epochOf } from '#engine/model/position.ts';
import { streams } from '#engine/model/subjects.ts';
import type { Ack, ControlHeartbeat, Heartbeat, Sample } from '#engine/model/telemetry.ts';
import type { BusMessage, Subscription } from '#engine/ports/bus.ts';
import type { KeyNews } from '#engine/ports/keys.ts';
import type { LogEntry } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import { expiredRevocations } from './api/revocations.ts';
import { decodeJson, encodeJson } from './codec.ts';
import { Denials } from './denials.ts';
import type { Happening, RememberedWorkload } from './fleet.ts';
import { openAck, openHeartbeat, openSample } from './intake.ts';
import type { Term } from './leadership.ts';
import { type ControlConfig, type ControlDeps, highestEpoch, type Parts } from './parts.ts';
import type { Folded } from './policy-log.ts';
import { prefetchKeys } from './prefetch-keys.ts';

/** Workloads that come or go within this are one change. */
const COALESCE_MS = 50;
/** Two ticks of a second this far apart mean that the process stood still. */
const STALL_MS = 3_000;
/** Revocations whose time is over are looked for this often. */
const SWEEP_MS = 30_000;
/** An agent that lies about what it has heard makes the leader begin a new term only so often. */
const OUTRUN_EVERY_MS = 30_000;
/** The same complaint of the same agent is an event only so often. */
const REPEAT_EVENT_MS = 10_000;

export class Duties {
  readonly fleetChanges: Queue<true> = new Queue({ limit: 1 });
  readonly #config: ControlConfig;
  readonly #deps: ControlDeps;
  readonly #parts: Parts;
  readonly #serve: () => Subscription;
  readonly #toldMs = new Map<string, number>();
  readonly #denials = new Denials();
  #api: Subscription | undefined;
  #prefetching: Promise<void> = Promise.resolve();
  #tickedMs = 0;
  #leaderRevision = 0;
  #controlLast = 0;
  #outrunMs = Number.NEGATIVE_INFINITY;
  #recorded = '';
  #sweptMs = 0;

  constructor(config: ControlConfig, deps: ControlDeps, parts: Parts, serve: () => Subscription) {
    this.#config = config;
    this.#deps = deps;
    this.#parts = parts;
    this.#serve = serve;
  }

  /** Revision that the leader, whoever it is, has published in full. */
  get saidRevision(): number {
    const { ring } = this.#parts;
    return ring.isLeading ? ring.saidRevision : this.#leaderRevision;
  }

  async lead(term: Term): Promise<void> {
    const { fleet, ring, rollouts, leadership, machines, onError, events } = this.#parts;
    const { time, log } = this.#deps;
    const { instance } = this.#config;
    try {
      const known = await machines.load('fleet', (name, error) => onError(`fleet ${name}`, error));
      const workloads = (known.get('workloads') ?? []) as readonly RememberedWorkload[];
      fleet.remember(workloads, time.monotonic());
      await this.#parts.keys?.load();
      await this.#parts.canaries.begin(term);
      await ring.lead(term);
      await rollouts.begin(term);
      await this.#parts.breakers.begin(term);
      await this.#parts.retryBrakes.begin(term);
      await this.renew();
      this.#api ??= this.#serve();
      log(`${instance} leads, epoch ${term.epoch}`);
      const { epoch } = term;
      events.tell({ type: 'control.elected', subject: instance, data: { instance, epoch } });
    } catch (error) {
      onError('take up the lead', error);
      await leadership.renounce();
    }
  }

  /** It leads, and everything that it has to say has been said once. */
  get isInCharge(): boolean {
    return this.#parts.ring.isLeading && this.#api !== undefined;
  }

  stepDown(): void {
    const { ring, rollouts, events } = this.#parts;
    const { instance } = this.#config;
    ring.follow();
    rollouts.end();
    this.#parts.canaries.end();
    this.#parts.breakers.end();
    this.#parts.retryBrakes.end();
    this.#denials.clear();
    this.#api?.close();
    this.#api = undefined;
    this.#deps.log(`${instance} no longer leads`);
    events.tell({ type: 'control.deposed', subject: instance, data: { instance } });
  }

  /** Compile, publish, and let the rollouts know. */
  async renew(): Promise<void> {
    const { ring, rollouts, policy } = this.#parts;
    await this.#prefetching;
    await this.#recordWorkloads();
    await ring.refresh();
    this.#followKeys();
    if (ring.result) await rollouts.plan(ring.result, new Set(policy.state.sources.keys()));
  }

  /** Issuers' keys that the policy names are fetched beside; `keysCame` compiles again when they are there. */
  #followKeys(): void {
    const { ring, onError, keys } = this.#parts;
    void keys?.follow(ring.keyAddresses).catch((error: unknown) => onError('fetch keys', error));
  }

  async keysCame(news: KeyNews): Promise<void> {
    const { type, address: at } = news;
    const address = at.type === 'jwks' ? at.uri : at.issuer;
    const why = type === 'unreachable' ? { reason: news.reason, ageMs: news.ageMs } : undefined;
    this.#deps.log(`keys of ${address}: ${type}${why ? `, ${why.reason}` : ''}`);
    if (this.#parts.leadership.term)
      this.#parts.events.tell({
        type: `keys.${type}`,
        subject: address,
        data: { address, ...why },
      });
    await this.#parts.keys?.learn(news, this.#parts.leadership.term?.epoch);
    if (news.type === 'rotated' || news.type === 'expired') await this.renew();
  }

  async committed({ commit }: Folded): Promise<void> {
    const { metrics, keys, ring, policy, onError } = this.#parts;
    metrics.add('weir_commits_total');
    if (keys && commit.changes.some(({ id }) => id.startsWith('Authentication/'))) {
      const fetched = prefetchKeys(keys, policy.state.sources, {
        followed: ring.result?.keyAddresses ?? [],
        time: this.#deps.time,
      }).catch((error: unknown) => onError('fetch keys', error));
      this.#prefetching = Promise.all([this.#prefetching, fetched]).then(() => {});
    }
    // If there is a later commit already, its turn comes next and says everything.
    if (commit.revision >= policy.state.revision) await this.renew();
    await this.#parts.canaries.committed(commit);
    this.#parts.news.give();
    this.#deps.log(
      `r${commit.revision} by ${commit.author}: ${commit.changes.length} changed${commit.message ? `, ${commit.message}` : ''}`,
    );
  }

  async fleetChanged(signal: AbortSignal): Promise<void> {
    await this.#deps.time.sleep(COALESCE_MS, signal);
    await this.renew();
  }

  /** On record before they are published, so that a restart does not take back what it does not know. */
  async #recordWorkloads(): Promise<void> {
    const { machines, fleet, leadership } = this.#parts;
    const term = leadership.term;
    const workloads = fleet.workloads();
    const text = JSON.stringify([term?.epoch, workloads]);
    if (!term || text === this.#recorded) return;
    await machines.save('fleet', 'workloads', term.epoch, workloads);
    this.#recorded = text;
  }

  async acked(message: BusMessage): Promise<void> {
    const ack = this.#opened('ack', openAck(message));
    if (!ack) return;
    this.#parts.metrics.add('weir_acks_total', 1, { outcome: ack.outcome });
    this.#measure(ack);
    const happenings = this.#parts.fleet.ack(ack);
    // Who has it already says so of what is put right: no news.
    if (ack.outcome !== 'stale' || !this.#inForce(ack)) this.#tell(happenings);
    this.#parts.news.give();
    await this.#parts.canaries.acked(ack);
  }

  beat(message: BusMessage): void {
    const beat: Heartbeat | undefined = this.#opened('heartbeat', openHeartbeat(message));
    if (!beat) return;
    if (!this.#deps.access.mayAnnounce(beat)) {
      this.#parts.metrics.add('weir_dropped_messages_total', 1, { kind: 'foreign heartbeat' });
      const words = `${beat.agent} speaks for ${beat.scope}, which is not its own`;
      this.#parts.onError(`heartbeat of ${beat.agent}`, words);
      return;
    }
    const { fleet, news, ring, keys } = this.#parts;
    // Every replica asks for itself, so that whoever leads next knows what was published.
    for (const issuer of beat.unknownKeys ?? [])
      for (const address of ring.result?.keyIssuers.get(issuer) ?? []) keys?.miss(address);
    this.#tell(fleet.beat(beat, this.#deps.time.monotonic()));
    if (fleet.hasChanged()) this.fleetChanges.push(true);
    news.give();
  }

  leaderSpoke(message: BusMessage): void {
    const { revision } = decodeJson(message.data, 'word of the leader') as ControlHeartbeat;
    if (Number.isSafeInteger(revision)) this.#leaderRevision = revision;
    this.#parts.news.give();
  }

  sampled(message: BusMessage): void {
    const sample: Sample | undefined = this.#opened('sample', openSample(message));
    if (!sample) return;
    this.#parts.metrics.add('weir_samples_total');
    this.#parts.rollouts.observe(sample);
    this.#parts.breakers.observe(sample);
    this.#parts.retryBrakes.observe(sample);
    this.#parts.canaries.observe(sample);
    if (this.#parts.leadership.term) this.#denials.add(sample, this.#deps.time.monotonic());
  }

  /** Something new in the control stream: ours, or somebody's whose time is over, or our successor's. */
  async written(entry: LogEntry): Promise<void> {
    const { leadership, publisher, metrics, onError, published } = this.#parts;
    if (!leadership.term) {
      try {
        published.accept(await published.open(entry.data));
      } catch (error) {
        onError(`control message on ${entry.subject}`, error);
      }
      this.#parts.news.give();
      return;
    }
    const author = await publisher.watch(entry);
    if (author === 'older' || author === 'unreadable') {
      metrics.add('weir_restored_messages_total');
      this.#deps.log(`put ${entry.subject} right: its last message was ${author}`);
    }
  }

  async second(): Promise<void> {
    const { fleet, ring, rollouts, leadership } = this.#parts;
    const nowMs = this.#deps.time.monotonic();
    if (nowMs - this.#tickedMs > STALL_MS) fleet.excuse(nowMs);
    this.#tickedMs = nowMs;
    if (this.#deps.broker.connected) this.#tell(fleet.expire(nowMs));
    if (fleet.hasChanged()) this.fleetChanges.push(true);
    for (const [key, toldMs] of this.#toldMs)
      if (nowMs - toldMs > REPEAT_EVENT_MS) this.#toldMs.delete(key);
    const term = leadership.term;
    if (!term) return;
    if (this.#isOutrun(term, nowMs)) await leadership.renounce();
    if (ring.isUntidy) await this.renew();
    for (const told of this.#denials.take(nowMs)) this.#parts.events.tell(told);
    this.#parts.rolloutMetrics.poll(rollouts.runs.values());
    await rollouts.tick();
    await this.#parts.breakers.tick();
    await this.#parts.retryBrakes.tick();
    await this.#parts.canaries.tick();
    await this.#forgetExpired(nowMs);
  }

  /** What a revocation shut out has expired by itself meanwhile. */
  async #forgetExpired(nowMs: number): Promise<void> {
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    const expired = expiredRevocations(this.#parts.ring.standing, this.#deps.time.now());
    if (expired.length > 0) await this.#parts.ring.withdraw(expired, 'its time is over');
  }

  /**
   * The leader's word to all readers; our own watches are checked against the same numbers. Answers with the last sequence of
   * the control stream.
   */
  async pulse(): Promise<number> {
    const { controlLog, eventLog, policy, leadership, subjects } = this.#parts;
    const { broker, time } = this.#deps;
    if (!broker.connected) return 0;
    const [{ lastSequence: policyLast, isWhole }, controlLast, eventLast] = await Promise.all([
      policy.verify(),
      controlLog.lastSequence(),
      eventLog.lastSequence(),
    ]);
    const term = leadership.term;
    if (!term) return controlLast;
    if (!isWhole) await policy.restore();
    if (controlLast < this.#controlLast) {
      this.#deps.log('the control stream has lost its memory: everything is said again');
      await leadership.renounce();
    }
    this.#controlLast = controlLast;
    const heartbeat: ControlHeartbeat = {
      v: 1,
      type: 'control-alive',
      instance: this.#config.instance,
      epoch: term.epoch,
      atMs: time.now(),
      revision: this.saidRevision,
      sequences: {
        [streams.policy]: policyLast,
        [streams.control]: controlLast,
        [streams.events]: eventLast,
      },
    };
    broker.bus.publish(subjects.heartbeat, encodeJson(heartbeat));
    return controlLast;
  }

  /** Silence while the bus was away says nothing about the agents. */
  reconnected(): void {
    this.#parts.fleet.excuse(this.#deps.time.monotonic());
  }

  close(): void {
    this.#api?.close();
    this.fleetChanges.close();
  }

  /** Agents have heard of a later epoch than ours: the bus has lost its memory. Only a term above theirs reaches them. */
  #isOutrun(term: Term, nowMs: number): boolean {
    if (nowMs - this.#outrunMs < OUTRUN_EVERY_MS) return false;
    const isOutrun = highestEpoch(this.#parts.published, this.#parts.fleet) > term.epoch;
    if (isOutrun) this.#outrunMs = nowMs;
    return isOutrun;
  }

  #opened<T>(kind: string, opened: T | undefined): T | undefined {
    if (opened === undefined) this.#parts.metrics.add('weir_dropped_messages_total', 1, { kind });
    return opened;
  }

  /** What an ack is about, if it is what control says now. */
  #inForce({ scope, position }: Ack): ControlMessage | undefined {
    const { snapshot, decisions } = this.#parts.published.of(scope);
    return snapshot?.position === position
      ? snapshot
      : [...decisions.values()].find((decision) => decision.position === position);
  }

  #measure(ack: Ack): void {
    if (ack.outcome !== 'applied') return;
    const message = this.#inForce(ack);
    // After a restart of an agent it applies what was said long ago: that is no propagation.
    if (!message || epochOf(message.position) !== this.#parts.leadership.term?.epoch) return;
    const tookMs = this.#deps.time.now() - message.issuedMs;
    if (tookMs < 60_000) this.#parts.metrics.propagated(Math.max(0, tookMs) / 1000);
  }

  /** Only the leader tells: every replica sees the same. */
  #tell(happenings: readonly Happening[]): void {
    if (!this.#parts.leadership.term) return;
    const nowMs = this.#deps.time.monotonic();
    for (const { type, agent, data } of happenings) {
      const key = `${type} ${agent}`;
      if (this.#toldMs.has(key) && type !== 'agent.joined' && type !== 'agent.left') continue;
      this.#toldMs.set(key, nowMs);
      this.#parts.events.tell({ type, subject: agent, data: { agent, ...data } });
    }
  }
}
