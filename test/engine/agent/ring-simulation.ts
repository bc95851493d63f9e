// Control, a lossy network and one agent, step by step. Control and agent run the engine's own code; the mechanisms under
// test are switched off around it: positions by lifting every message above the last one as it arrives, standing
// decisions by leaving them out of snapshots, the fence by letting a deposed leader write to the standing record.
import { initialAgent, messagesOf, receive, viewOf } from '#engine/agent/agent.ts';
import { nextDecision, record, type StandingSet, withdraw } from '#engine/compile/standing.ts';
import { type ControlMessage, encodeMessage, parseMessage } from '#engine/model/control-message.ts';
import { decisionId } from '#engine/model/decision.ts';
import { makePosition } from '#engine/model/position.ts';
import { edgeScope } from '#engine/model/scope.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { subjects } from '#engine/model/subjects.ts';
import { emptySnapshot } from '#test/support/control-messages.ts';

const MESH = 'default';
const SCOPE = edgeScope('public');
const AGENT = 'edge-1';
const TARGETS = ['bibby/catalog-service', 'bibby/library-service'] as const;

export interface Mechanisms {
  readonly positions: boolean;
  readonly standing: boolean;
  readonly fence: boolean;
}

/** `at` picks among what there is (leaders, targets, messages under way), modulo its number. */
export type Step =
  | { readonly type: 'decide'; readonly at: number; readonly leader: 'current' | 'deposed' }
  /** Recorded as standing, then the leader dies before it can publish. */
  | { readonly type: 'decideAndDie'; readonly at: number }
  | { readonly type: 'commit' }
  | { readonly type: 'republish'; readonly leader: 'current' | 'deposed' }
  /** A policy canary begins, with this agent in its cohort or not. */
  | { readonly type: 'try'; readonly isIn: boolean }
  | { readonly type: 'revert' }
  /** Policy now says what was decided, and the decision retires. */
  | { readonly type: 'retire'; readonly at: number }
  | { readonly type: 'elect'; readonly publish: boolean }
  | { readonly type: 'deliver'; readonly at: number; readonly keep: boolean }
  | { readonly type: 'lose'; readonly at: number }
  /** The agent starts again from its disk and reads the stream. */
  | { readonly type: 'restart' }
  | { readonly type: 'reread' };

type PolicyChange = Extract<Step, { type: 'commit' | 'try' | 'revert' }>;
const isChange = (step: Step): step is PolicyChange =>
  step.type === 'commit' || step.type === 'try' || step.type === 'revert';

export interface Run {
  /** Times the agent's choice went back to an older one. */
  readonly regressions: number;
  /** After the network healed, every target is at its newest choice, and the agent at the revision it should have. */
  readonly converged: boolean;
}

interface Leader {
  readonly epoch: number;
  /** Policy as it was when the leader was deposed: it learns nothing newer than its successor started from. */
  lastPolicy: Policy | undefined;
  counter: number;
  hasPublished: boolean;
  standing: StandingSet;
  /** Length of the standing record as this leader knows it. */
  recorded: number;
}

/** A choice is a number that grows with every decision; it is the canary's weight, so it can be read off an agent's view. */
interface Policy {
  readonly revision: number;
  readonly choices: Readonly<Record<string, number>>;
  /** Agents that try the next revision. */
  readonly trial?: readonly string[];
}

export const simulate = (steps: readonly Step[], mechanisms: Mechanisms): Run => {
  const control = createControl(mechanisms);
  const network = createNetwork();
  const agent = createAgent(mechanisms.positions);

  for (const step of steps) {
    if (step.type === 'deliver') agent.hear(network.take(step.at, step.keep));
    else if (step.type === 'lose') network.take(step.at, false);
    else if (step.type === 'restart') {
      agent.restart();
      network.send(control.stream());
    } else if (step.type === 'reread') network.send(control.stream());
    else network.send(control.act(step));
  }
  control.heal();
  for (const bytes of control.stream()) agent.hear(bytes);
  const { regressions, choices, revision } = agent.seen();
  return {
    regressions,
    converged:
      revision === control.revision() &&
      TARGETS.every((target) => choices[target] === control.choice(target)),
  };
};

const splitBody = (target: string, choice: number) => ({
  type: 'split' as const,
  target,
  weights: { 'v1.0': 10_000 - choice, 'v1.1': choice },
});

/** What compile does with splits: policy's own weights, replaced by standing decisions. */
const compileSplits = (policy: Policy, standing: StandingSet): Snapshot => {
  const splits: Record<string, Snapshot['splits'][string]> = {};
  for (const target of TARGETS) {
    const decided = standing.get(decisionId({ type: 'split', target }))?.body;
    const own = splitBody(target, policy.choices[target] ?? 0);
    const { weights } = decided?.type === 'split' ? decided : own;
    splits[target] = {
      service: target,
      choices: Object.entries(weights).map(([version, weight]) => ({
        version,
        weight,
        upstream: `${target}@${version}`,
      })),
    };
  }
  return { ...emptySnapshot, splits, standing: [...standing.values()] };
};

const createControl = (mechanisms: Mechanisms) => {
  let policy: Policy = { revision: 1, choices: {} };
  let lastChoice = 0;
  /** The standing record: a new immutable version for every change, so that one writer wins each. */
  const recordings: StandingSet[] = [new Map()];
  const lastPerSubject = new Map<string, { readonly bytes: Uint8Array; readonly epoch: number }>();
  const leaders: Leader[] = [];

  const save = (leader: Leader, standing: StandingSet): boolean => {
    if (mechanisms.fence && leader.recorded !== recordings.length) return false;
    recordings.push(standing);
    leader.recorded = recordings.length;
    leader.standing = standing;
    return true;
  };
  /** A deposed leader's words still get on the wire; the stream keeps the successor's. */
  const publish = (leader: Leader, subject: string, message: ControlMessage): Uint8Array[] => {
    const bytes = encodeMessage(message);
    if ((lastPerSubject.get(subject)?.epoch ?? 0) <= leader.epoch) {
      lastPerSubject.delete(subject);
      lastPerSubject.set(subject, { bytes, epoch: leader.epoch });
    }
    return [bytes];
  };
  const knownBy = (leader: Leader): Policy => leader.lastPolicy ?? policy;
  const header = (leader: Leader) => {
    leader.counter += 1;
    const position = makePosition(leader.epoch, leader.counter);
    return { v: 1 as const, mesh: MESH, scope: SCOPE, position, issuedMs: 0 };
  };
  const exceptTrial = (leader: Leader) => {
    const { trial } = knownBy(leader);
    return trial ? { except: trial } : {};
  };
  const snapshotOf = (leader: Leader): Snapshot =>
    compileSplits(knownBy(leader), mechanisms.standing ? leader.standing : new Map());
  const publishTrial = (leader: Leader): Uint8Array[] => {
    const { trial: only, revision } = knownBy(leader);
    if (!only) return [];
    return publish(leader, subjects(MESH).trial(SCOPE), {
      ...header(leader),
      type: 'trial',
      only,
      revision: revision + 1,
      snapshot: snapshotOf(leader),
    });
  };
  const publishSnapshot = (leader: Leader): Uint8Array[] => {
    leader.hasPublished = true;
    const snapshot = publish(leader, subjects(MESH).snapshot(SCOPE), {
      ...header(leader),
      ...exceptTrial(leader),
      type: 'snapshot',
      revision: knownBy(leader).revision,
      snapshot: snapshotOf(leader),
    });
    return [...snapshot, ...publishTrial(leader)];
  };
  const elect = (): Leader => {
    const standing = recordings.at(-1) ?? new Map();
    const predecessor = leaders.at(-1);
    if (predecessor) predecessor.lastPolicy = policy;
    const leader: Leader = {
      epoch: leaders.length + 1,
      lastPolicy: undefined,
      counter: 0,
      hasPublished: false,
      standing,
      recorded: recordings.length,
    };
    leaders.push(leader);
    save(leader, standing);
    return leader;
  };
  const decide = (leader: Leader, target: string): Uint8Array[] => {
    const decision = nextDecision(leader.standing, splitBody(target, lastChoice + 1), {
      by: 'rollout:x',
      reason: 'step',
    });
    if (!save(leader, record(leader.standing, decision))) return [];
    lastChoice += 1;
    const told = publish(leader, subjects(MESH).decision(SCOPE, 'split', target), {
      ...header(leader),
      ...exceptTrial(leader),
      type: 'decision',
      basis: knownBy(leader).revision,
      decision,
    });
    return [...told, ...publishTrial(leader)];
  };
  const retire = (leader: Leader, target: string): Uint8Array[] => {
    const id = decisionId({ type: 'split', target });
    const body = leader.standing.get(id)?.body;
    if (body?.type !== 'split' || !save(leader, withdraw(leader.standing, id))) return [];
    const choices = { ...policy.choices, [target]: body.weights['v1.1'] ?? 0 };
    policy = { revision: policy.revision + 1, choices };
    return publishSnapshot(leader);
  };

  const change = (step: PolicyChange): Uint8Array[] => {
    const { trial, choices, revision } = policy;
    // Whatever is committed, the candidate or something else, a trial is over with it.
    policy = { choices, revision: revision + (step.type === 'commit' ? 1 : 0) };
    if (step.type !== 'try') return publishSnapshot(current());
    policy = { ...policy, trial: [step.isIn ? AGENT : 'edge-2'] };
    // Who tried before, and no longer does, has to hear it.
    const isFirst = current().hasPublished && !trial;
    return isFirst ? publishTrial(current()) : publishSnapshot(current());
  };

  elect();
  const current = (): Leader => leaders.at(-1) ?? elect();
  const speaker = (leader: 'current' | 'deposed'): Leader =>
    (leader === 'deposed' ? leaders.at(-2) : undefined) ?? current();
  const target = (at: number): string => TARGETS[at % TARGETS.length] ?? TARGETS[0];

  return {
    act: (step: Exclude<Step, { type: 'deliver' | 'lose' | 'restart' | 'reread' }>) => {
      if (isChange(step)) return change(step);
      switch (step.type) {
        case 'decide':
          return decide(speaker(step.leader), target(step.at));
        case 'decideAndDie': {
          const { epoch } = current();
          const unsent = lastPerSubject.size === 0 ? [] : decide(current(), target(step.at));
          for (const subject of unsent.length > 0 ? [...lastPerSubject.keys()].slice(-1) : [])
            if (lastPerSubject.get(subject)?.epoch === epoch) lastPerSubject.delete(subject);
          elect();
          return [];
        }
        case 'republish':
          return publishSnapshot(speaker(step.leader));
        case 'retire':
          return retire(current(), target(step.at));
        case 'elect': {
          const leader = elect();
          return step.publish ? publishSnapshot(leader) : [];
        }
      }
    },
    /** Every leader publishes its scopes once it is elected; this one has lived long enough to have done so. */
    heal: () => (current().hasPublished ? [] : publishSnapshot(current())),
    revision: () => policy.revision + (policy.trial?.includes(AGENT) ? 1 : 0),
    stream: () => [...lastPerSubject.values()].map((entry) => entry.bytes),
    choice: (name: string): number => {
      const body = recordings.at(-1)?.get(decisionId({ type: 'split', target: name }))?.body;
      return body?.type === 'split' ? (body.weights['v1.1'] ?? 0) : (policy.choices[name] ?? 0);
    },
  };
};

const createNetwork = () => {
  const underWay: Uint8Array[] = [];
  return {
    send: (messages: readonly Uint8Array[]) => underWay.push(...messages),
    /** Any of them, in any order; one that is kept comes again. */
    take: (at: number, keep: boolean): Uint8Array | undefined => {
      if (underWay.length === 0) return undefined;
      const index = at % underWay.length;
      const bytes = underWay[index];
      if (!keep) underWay.splice(index, 1);
      return bytes;
    },
  };
};

const createAgent = (positions: boolean) => {
  let state = initialAgent(MESH, SCOPE, AGENT);
  let disk: readonly Uint8Array[] = [];
  let regressions = 0;
  const newest: Record<string, number> = {};
  const choices: Record<string, number> = {};

  const look = (): void => {
    const view = viewOf(state);
    for (const target of view ? TARGETS : []) {
      const body = view?.overlay.get(decisionId({ type: 'split', target }));
      const inSnapshot = view?.snapshot.splits[target]?.choices;
      const choice =
        body?.type === 'split'
          ? (body.weights['v1.1'] ?? 0)
          : (inSnapshot?.find(({ version }) => version === 'v1.1')?.weight ?? 0);
      if (choice < (newest[target] ?? 0)) regressions += 1;
      newest[target] = Math.max(choice, newest[target] ?? 0);
      choices[target] = choice;
    }
  };
  const fold = (bytes: Uint8Array): void => {
    const message = parseMessage(bytes);
    [state] = receive(
      state,
      positions
        ? message
        : { ...message, position: Math.max(state.position, message.position) + 1 },
    );
  };
  return {
    hear: (bytes: Uint8Array | undefined): void => {
      if (!bytes) return;
      fold(bytes);
      disk = messagesOf(state).map(encodeMessage);
      look();
    },
    restart: (): void => {
      state = initialAgent(MESH, SCOPE, AGENT);
      for (const bytes of disk) fold(bytes);
      look();
    },
    seen: () => ({ regressions, choices, revision: state.active?.revision }),
  };
};
