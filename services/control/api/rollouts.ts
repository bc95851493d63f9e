// The operations on rollouts. Commands are the leader's; any replica can say how things stand.

import type { StandingSet } from '#engine/compile/standing.ts';
import { isActive } from '#engine/machines/rollout-state.ts';
import type { RolloutCommand } from '#engine/machines/rollout-types.ts';
import { rolloutStatus } from '#engine/machines/status.ts';
import type { Caller, RolloutAnswer, RolloutRequest, RolloutStatus } from '#engine/model/api.ts';
import type { StandingDecision } from '#engine/model/decision.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Leadership } from '../leadership.ts';
import type { MachineStore } from '../machine-store.ts';
import type { Ring } from '../ring.ts';
import { RolloutRun } from '../rollout-run.ts';
import { type Rollouts, splitId, UNREADABLE } from '../rollouts.ts';
import type { Time } from '../time.ts';

export interface RolloutApiDeps {
  readonly rollouts: Rollouts;
  readonly machines: MachineStore;
  readonly standing: () => Promise<StandingSet>;
  readonly ring: Ring;
  readonly leadership: Leadership;
  readonly time: Time;
}

export const createRolloutApi = (deps: RolloutApiDeps) => {
  const { rollouts, leadership, time } = deps;

  const found = (request: RolloutRequest): RolloutRun => {
    leadership.require();
    if (!rollouts.isRunning)
      throw new EngineError('ERR_NOT_LEADER', 'the rollouts are being taken up', {
        retryable: true,
      });
    if (request.name === undefined)
      throw new EngineError('ERR_REQUEST_INVALID', 'name the rollout', { source: 'caller' });
    return rollouts.run(`${request.namespace ?? 'default'}/${request.name}`);
  };

  const answer = (run: RolloutRun): RolloutAnswer => ({
    rollouts: [statusOf(run, standingOf(deps.ring.standing.values(), run.plan))],
  });

  const command =
    (type: RolloutCommand) =>
    async (caller: Caller, request: RolloutRequest): Promise<RolloutAnswer> => {
      const run = found(request);
      const why = request.reason ?? '';
      if (run.broken !== undefined) {
        if (type === 'retry') return start(caller, request);
        if (type !== 'abort') throw broken(run);
        await run.reset(run.plan.versions);
        await deps.ring.withdraw([splitId(run.plan)], `abort by ${caller.name}: ${why}`);
        return answer(run);
      }
      if (type === 'undo') requireFormer(run, rollouts.announced(run.plan.service));
      await run.handle({ type, nowMs: time.now(), by: caller.name, why });
      return answer(run);
    };

  const start = async (caller: Caller, request: RolloutRequest): Promise<RolloutAnswer> => {
    const run = found(request);
    const canary = request.version ?? newest(run, rollouts.announced(run.plan.service));
    if (!run.plan.versions.includes(canary))
      throw new EngineError(
        'ERR_REQUEST_INVALID',
        `${run.plan.service} has no version ${canary}; it has ${run.plan.versions.join(', ')}`,
        { source: 'caller' },
      );
    if (run.broken !== undefined) await run.reset([]);
    const before = run.record.machine;
    const why = request.reason ?? '';
    // It was noticed before it was named: what is asked for is under way.
    if (before.context.canary === canary && isActive(before)) return answer(run);
    await run.handle({ type: 'newRevision', canary, nowMs: time.now(), by: caller.name, why });
    if (run.record.machine.context.startedMs === before.context.startedMs)
      throw new EngineError(
        'ERR_ROLLOUT_STATE',
        `${run.id}: cannot start ${canary} while the rollout is ${before.phase} and ${serving(run)} serves`,
        { source: 'caller' },
      );
    return answer(run);
  };

  const status = async (_caller: Caller, request: RolloutRequest): Promise<RolloutAnswer> => {
    const runs = rollouts.isRunning ? [...rollouts.runs.values()] : await onRecord(deps);
    const standing = await deps.standing();
    const wanted = runs.filter(({ id }) => isAskedFor(id, request));
    if (request.name !== undefined && wanted.length === 0)
      throw new EngineError(
        'ERR_REQUEST_NOT_FOUND',
        `there is no rollout ${request.namespace ?? 'default'}/${request.name}`,
        { source: 'caller' },
      );
    return {
      rollouts: wanted.map((run) => statusOf(run, standingOf(standing.values(), run.plan))),
    };
  };

  /** A sentence for every rollout that stands still. */
  const troubles = async (): Promise<readonly string[]> => {
    const runs = rollouts.isRunning ? [...rollouts.runs.values()] : await onRecord(deps);
    return runs.flatMap(({ id, broken: why }) =>
      why === undefined
        ? []
        : [`rollout ${id} stands still: ${why}; \`weir rollout retry\` or \`abort\` goes on`],
    );
  };

  return {
    status,
    troubles,
    start,
    promote: command('promote'),
    abort: command('abort'),
    pause: command('pause'),
    resume: command('resume'),
    retry: command('retry'),
    skip: command('skip'),
    undo: command('undo'),
    approve: command('approve'),
    reject: command('reject'),
  };
};

/** Without a name all are meant, of every namespace: the default namespace only goes with a name. */
const isAskedFor = (id: string, { namespace, name }: RolloutRequest): boolean =>
  name === undefined || id === `${namespace ?? 'default'}/${name}`;

const newest = (run: RolloutRun, announced: ReadonlySet<string>): string => {
  const now = serving(run);
  const canary = run.plan.versions.findLast((name) => name !== now && announced.has(name));
  if (canary !== undefined) return canary;
  throw new EngineError('ERR_ROLLOUT_STATE', `${run.id}: nothing but ${now} is running`, {
    source: 'caller',
  });
};

const serving = ({ record: { machine } }: RolloutRun): string =>
  (machine.phase === 'succeeded' ? machine.context.canary : undefined) ?? machine.context.baseline;

/** All traffic to a version that nobody serves would be an outage. */
const requireFormer = ({ record, id }: RolloutRun, announced: ReadonlySet<string>): void => {
  const { phase, context } = record.machine;
  const former = phase === 'idle' ? context.former : context.baseline;
  if (former === undefined || announced.has(former)) return;
  throw new EngineError('ERR_ROLLOUT_STATE', `${id}: ${former} is not running any more`, {
    source: 'caller',
  });
};

const broken = (run: RolloutRun): EngineError =>
  new EngineError('ERR_ROLLOUT_STATE', `${run.id} stands still: ${run.broken ?? ''}`, {
    source: 'caller',
  });

/** A follower reads what the leader has recorded. */
const onRecord = async ({ machines, ring }: RolloutApiDeps): Promise<RolloutRun[]> => {
  const unreadable = new Set<string>();
  const stored = await machines.load('rollout', (id) => unreadable.add(id));
  const nothing = async (): Promise<void> => {};
  return (ring.result?.rollouts ?? []).map((plan) => {
    const run = new RolloutRun(plan, stored.get(plan.id), {
      save: nothing,
      say: nothing,
      ask: () => {},
      learnt: () => undefined,
      isServed: () => false,
      now: () => 0,
    });
    if (unreadable.has(plan.id)) run.break(UNREADABLE);
    return run;
  });
};

const standingOf = (all: Iterable<StandingDecision>, { service }: RolloutPlan) =>
  [...all].filter(({ body }) => body.type === 'split' && body.target === service);

const statusOf = (run: RolloutRun, standing: readonly StandingDecision[]): RolloutStatus => {
  const { machine, watch } = run.record;
  const told = rolloutStatus(machine, run.plan);
  // What too little was recorded about is not watched.
  const status = { ...told, watchUntilMs: watch ? told.watchUntilMs : 0, standing };
  return run.broken === undefined ? status : { ...status, state: 'broken', reason: run.broken };
};
