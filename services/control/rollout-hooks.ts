// Calls the webhooks of a rollout, as Flagger would: POST with name, namespace, phase, checksum and metadata; any 2xx agrees.
import { createHash } from 'node:crypto';
import type { RolloutState } from '#engine/machines/rollout.ts';
import type { RolloutEffect } from '#engine/machines/rollout-types.ts';
import { reasonOf } from '#engine/model/errors.ts';
import type { HookPlan, RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Web } from '#engine/ports/web.ts';

export type Question = Extract<RolloutEffect, { type: 'ask' }>;
type Announcement = Extract<RolloutEffect, { type: 'event' }>;

export interface HookAnswer {
  readonly ok: boolean;
  /** What it said, for people. */
  readonly detail: string;
}

interface Call {
  readonly phase: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The same for the same question, however often it is sent. */
  readonly key: string;
}

const DETAIL = 200;

/** Never throws: a hook that cannot be reached has not agreed. */
export const callHook = async (
  web: Web | undefined,
  hook: HookPlan,
  machine: RolloutState,
  { phase, metadata, key }: Call,
): Promise<HookAnswer> => {
  if (!web) return { ok: false, detail: 'this control does not call webhooks' };
  const { baseline, canary, weight, step } = machine.context;
  const [namespace = '', name = ''] = machine.rollout.split('/');
  const body = {
    name,
    namespace,
    phase,
    checksum: createHash('sha256')
      .update(`${machine.rollout} ${canary ?? ''}`)
      .digest('hex')
      .slice(0, 10),
    metadata: { ...hook.metadata, ...metadata },
    weir: { hook: hook.name, type: hook.type, baseline, canary, weight, step },
  };
  try {
    const answer = await web.ask({
      method: 'POST',
      url: hook.url,
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
      timeoutMs: hook.timeoutMs,
    });
    const said = answer.body.trim().slice(0, DETAIL);
    const ok = answer.status >= 200 && answer.status < 300;
    return { ok, detail: said === '' ? `${answer.status}` : `${answer.status}: ${said}` };
  } catch (error) {
    return { ok: false, detail: reasonOf(error) };
  }
};

export const keyOf = (machine: RolloutState, question: Question): string =>
  [
    machine.rollout,
    machine.context.startedMs,
    question.hook.name,
    question.for,
    question.question,
  ].join(':');

const warnings: ReadonlySet<string> = new Set([
  'rollout.rolledBack',
  'rollout.failed',
  'rollout.aborted',
  'rollout.rejected',
  'rollout.undone',
  'rollout.inconclusive',
  'rollout.held',
]);

/** Event hooks are told what everybody is told; nobody waits for them. */
export const tellEventHooks = async (
  web: Web | undefined,
  plan: RolloutPlan,
  machine: RolloutState,
  {
    event,
    data,
    key,
    atMs,
    phase,
  }: Announcement & {
    readonly key: string;
    readonly atMs: number;
    readonly phase: string;
  },
): Promise<void> => {
  const hooks = (plan.hooks ?? []).filter(({ type }) => type === 'event');
  const metadata = {
    eventMessage: `${event}: ${typeof data['reason'] === 'string' ? data['reason'] : ''}`,
    eventType: warnings.has(event) ? 'Warning' : 'Normal',
    timestamp: String(atMs),
  };
  await Promise.all(hooks.map((hook) => callHook(web, hook, machine, { phase, metadata, key })));
};
