// The states of a rollout and what leads from one to the other. rollout.ts is the way in.
import { assign, emit, setup } from 'xstate';
import type { EventType } from '../model/event.ts';
import * as change from './rollout-changes.ts';
import * as guard from './rollout-guards.ts';
import type { RolloutContext, RolloutEffect, RolloutEvent, RolloutPhase } from './rollout-types.ts';

const rollout = setup({
  types: {
    context: {} as RolloutContext,
    events: {} as RolloutEvent,
    emitted: {} as RolloutEffect,
  },
  guards: {
    isWorse: guard.isWorse,
    isUnmeasured: guard.isUnmeasured,
    isFutileForHuman: guard.isFutileForHuman,
    isFutileForRollback: guard.isFutileForRollback,
    isDoubtful: guard.isDoubtful,
    isSound: guard.isSound,
    mayBegin: guard.mayBegin,
    mayLeaveMirror: guard.mayLeaveMirror,
    isMirrored: guard.isMirrored,
    mayStepUp: guard.mayStepUp,
    mayPromote: guard.mayPromote,
    hasNextStep: guard.hasNextStep,
    hasNoTrafficYet: guard.hasNoTrafficYet,
    isWeightEnforced: guard.isWeightEnforced,
    isSettlingLong: guard.isSettlingLong,
    isAnother: guard.isAnother,
    isAnotherOrNamed: guard.isAnotherOrNamed,
    isAnotherThanPromoted: guard.isAnotherThanPromoted,
    hasFormer: guard.hasFormer,
    isApprovalAsked: guard.isApprovalAsked,
    isOrderedBack: guard.isOrderedBack,
    hasFailedTooOften: guard.hasFailedTooOften,
    isWatched: guard.isWatched,
    policyAgrees: guard.policyAgrees,
    policyMoved: guard.policyMoved,
  },
  actions: {
    begin: assign(change.begin),
    adopt: assign(change.adopt),
    revive: assign(change.revive),
    settle: assign(change.settle),
    noteVerdict: assign(change.noteVerdict),
    noteReason: assign(change.noteReason),
    noteAck: assign(change.noteAck),
    noteAnswer: assign(change.noteAnswer),
    noteApproval: assign(change.noteApproval),
    release: assign(change.release),
    startWatch: assign(change.startWatch),
    stepUp: assign(change.stepUp),
    allTraffic: assign(change.allTraffic),
    noTraffic: assign(change.noTraffic),
    skipPause: assign(change.skipPause),
    extend: assign(change.extend),
    remember: assign((asked, { phase }: { phase: RolloutPhase }) => change.remember(asked, phase)),
    publishSplit: emit(change.splitEffect),
    startAnalysis: emit(change.analysisEffect),
    announce: emit((asked, { event }: { event: EventType }) => change.eventEffect(asked, event)),
  },
});

const announce = (event: EventType) => ({ type: 'announce', params: { event } }) as const;
const remember = (phase: RolloutPhase) => ({ type: 'remember', params: { phase } }) as const;

const fails = {
  guard: 'isWorse',
  target: 'rollingBack',
  actions: ['noteVerdict', announce('rollout.rolledBack')],
} as const;
const note = { actions: 'noteVerdict' } as const;
const holds = {
  target: 'holding',
  actions: ['noteVerdict', announce('rollout.held')],
} as const;
const asksHuman = {
  guard: 'isFutileForHuman',
  target: 'inconclusive',
  actions: ['noteVerdict', announce('rollout.inconclusive')],
} as const;
const givesUp = { ...fails, guard: 'isFutileForRollback' } as const;
const acks = { guard: 'isWeightEnforced', actions: 'noteAck' } as const;
const restarts = { guard: 'isAnother', target: 'initializing', reenter: true } as const;
const promotes = { target: 'promoting', actions: 'noteReason' } as const;
const aborts = {
  target: 'rollingBack',
  actions: ['noteReason', announce('rollout.aborted')],
} as const;
const undoes = {
  target: 'rollingBack',
  actions: ['noteReason', announce('rollout.undone')],
} as const;
/** Nobody's verdict about this version alone: a hook says no, or a peer of its group has failed. */
const backs = {
  answered: [
    {
      guard: 'isOrderedBack',
      target: 'rollingBack',
      actions: ['noteAnswer', 'noteReason', announce('rollout.rolledBack')],
    },
    {
      guard: 'hasFailedTooOften',
      target: 'rollingBack',
      actions: ['noteAnswer', 'noteReason', announce('rollout.rolledBack')],
    },
  ],
  peerFailed: {
    target: 'rollingBack',
    actions: ['noteReason', announce('rollout.rolledBack')],
  },
} as const;
const approvals = {
  approve: {
    guard: 'isApprovalAsked',
    actions: ['noteApproval', 'noteReason', announce('rollout.approved')],
  },
  reject: {
    guard: 'isApprovalAsked',
    target: 'rollingBack',
    actions: ['noteReason', announce('rollout.rejected')],
  },
} as const;
const pauses = {
  target: 'paused',
  actions: ['noteReason', announce('rollout.paused')],
} as const;
const stepsUp = ['stepUp', 'publishSplit', announce('rollout.stepped')] as const;
const skips = {
  guard: 'hasNextStep',
  target: 'progressing',
  reenter: true,
  actions: ['noteReason', ...stepsUp],
} as const;
const skipsAny = [
  { ...skips, guard: 'isMirrored', actions: [...skips.actions, 'startAnalysis'] },
  skips,
] as const;
const startsOver = { guard: 'policyMoved', target: 'initializing', reenter: true } as const;

export const rolloutMachine = rollout.createMachine({
  id: 'rollout',
  initial: 'idle',
  context: {} as RolloutContext,
  on: {
    // The YAML says it now, so the decision has nothing left to say.
    tick: {
      guard: 'policyAgrees',
      target: '.idle',
      actions: ['settle', 'publishSplit', remember('idle')],
    },
    answered: { actions: 'noteAnswer' },
    released: { actions: 'release' },
  },
  states: {
    idle: {
      on: {
        newRevision: { guard: 'isAnotherOrNamed', target: 'initializing' },
        undo: { ...undoes, guard: 'hasFormer', actions: ['revive', ...undoes.actions] },
      },
    },
    initializing: {
      entry: [
        'begin',
        'publishSplit',
        'startAnalysis',
        announce('rollout.started'),
        remember('initializing'),
      ],
      on: {
        verdict: [
          fails,
          {
            guard: 'mayBegin',
            target: 'progressing',
            actions: ['noteVerdict', ...stepsUp],
          },
          note,
        ],
        telemetryStale: { actions: 'noteReason' },
        weightAcked: acks,
        newRevision: restarts,
        pause: pauses,
        promote: promotes,
        abort: aborts,
        ...approvals,
        ...backs,
        tick: startsOver,
      },
    },
    progressing: {
      entry: remember('progressing'),
      on: {
        verdict: [
          fails,
          { guard: 'isUnmeasured', ...holds },
          asksHuman,
          givesUp,
          { guard: 'isDoubtful', ...holds },
          { guard: 'mayPromote', target: 'promoting', actions: 'noteVerdict' },
          {
            guard: 'mayLeaveMirror',
            target: 'progressing',
            reenter: true,
            actions: ['noteVerdict', ...stepsUp, 'startAnalysis'],
          },
          {
            guard: 'mayStepUp',
            target: 'progressing',
            reenter: true,
            actions: ['noteVerdict', ...stepsUp],
          },
          note,
        ],
        telemetryStale: {
          target: 'holding',
          actions: ['noteReason', announce('rollout.held')],
        },
        weightAcked: acks,
        newRevision: restarts,
        pause: pauses,
        promote: promotes,
        abort: aborts,
        skip: skipsAny,
        ...approvals,
        ...backs,
        tick: startsOver,
      },
    },
    holding: {
      entry: remember('holding'),
      on: {
        verdict: [
          fails,
          asksHuman,
          givesUp,
          {
            guard: 'isSound',
            target: 'progressing',
            actions: ['noteVerdict', announce('rollout.resumed')],
          },
          note,
        ],
        telemetryStale: { actions: 'noteReason' },
        weightAcked: acks,
        newRevision: restarts,
        pause: pauses,
        promote: promotes,
        abort: aborts,
        skip: skipsAny,
        ...backs,
        tick: startsOver,
      },
    },
    // Weights stand still, evidence does not: what is proven bad goes, paused or not.
    paused: {
      entry: remember('paused'),
      on: {
        verdict: [fails, note],
        weightAcked: acks,
        newRevision: {
          guard: 'isAnother',
          target: 'paused',
          reenter: true,
          actions: ['begin', 'publishSplit', 'startAnalysis', announce('rollout.started')],
        },
        resume: [
          { guard: 'hasNoTrafficYet', target: 'initializing', actions: 'noteReason' },
          {
            target: 'progressing',
            actions: ['skipPause', 'noteReason', announce('rollout.resumed')],
          },
        ],
        promote: promotes,
        abort: aborts,
        ...backs,
        tick: startsOver,
      },
    },
    inconclusive: {
      entry: remember('inconclusive'),
      on: {
        verdict: [fails, note],
        weightAcked: acks,
        newRevision: restarts,
        resume: {
          target: 'progressing',
          actions: ['extend', 'noteReason', announce('rollout.resumed')],
        },
        promote: promotes,
        abort: aborts,
        ...backs,
        tick: startsOver,
      },
    },
    promoting: {
      entry: ['allTraffic', 'publishSplit', announce('rollout.promoting'), remember('promoting')],
      on: {
        verdict: [fails, { guard: 'isSettlingLong', target: 'succeeded' }],
        weightAcked: { guard: 'isWeightEnforced', target: 'succeeded', actions: 'noteAck' },
        newRevision: {
          guard: 'isAnother',
          target: 'initializing',
          actions: [announce('rollout.promoted'), 'adopt'],
        },
        abort: aborts,
        undo: undoes,
        peerFailed: backs.peerFailed,
        tick: { guard: 'isSettlingLong', target: 'succeeded' },
      },
    },
    succeeded: {
      entry: ['startWatch', remember('succeeded'), announce('rollout.promoted')],
      on: {
        newRevision: { guard: 'isAnotherThanPromoted', target: 'initializing', actions: 'adopt' },
        abort: aborts,
        undo: undoes,
        peerFailed: { ...backs.peerFailed, guard: 'isWatched' },
        regressed: {
          guard: 'isWatched',
          target: 'rollingBack',
          actions: ['noteReason', announce('rollout.rolledBack')],
        },
      },
    },
    rollingBack: {
      entry: ['noTraffic', 'publishSplit', remember('rollingBack')],
      on: {
        verdict: { guard: 'isSettlingLong', target: 'failed' },
        weightAcked: { guard: 'isWeightEnforced', target: 'failed', actions: 'noteAck' },
        newRevision: { guard: 'isAnother', target: 'initializing' },
        tick: { guard: 'isSettlingLong', target: 'failed' },
      },
    },
    failed: {
      entry: [remember('failed'), announce('rollout.failed')],
      on: {
        newRevision: { guard: 'isAnotherOrNamed', target: 'initializing' },
        retry: { target: 'initializing' },
      },
    },
  },
});
