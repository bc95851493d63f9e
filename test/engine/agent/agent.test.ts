import { describe, expect, it } from 'vitest';
import { initialAgent, messagesOf, receive, viewOf } from '#engine/agent/agent.ts';
import type { ControlMessage } from '#engine/model/control-message.ts';
import {
  decisionMessage as decision,
  snapshotMessage as snapshot,
  trialMessage as trial,
} from '#test/support/control-messages.ts';

const hear = (...messages: ControlMessage[]) => {
  let state = initialAgent('default', 'edge.public', 'edge-1');
  const outcomes: string[] = [];
  for (const message of messages) {
    const [next, received] = receive(state, message);
    state = next;
    outcomes.push(received.outcome);
  }
  const overlay = [...(viewOf(state)?.overlay.keys() ?? [])];
  return { state, outcomes, overlay };
};

describe('an agent', () => {
  it('has nothing to enforce before the first snapshot', () => {
    expect(viewOf(initialAgent('default', 'edge.public', 'edge-1'))).toBeUndefined();
  });

  it('puts a decision on top of the snapshot that it was made against', () => {
    const { outcomes, state } = hear(snapshot(1, 8), decision(2, 8));
    expect(outcomes).toEqual(['applied', 'applied']);
    expect(viewOf(state)).toMatchObject({ revision: 8, position: 2 });
    expect(viewOf(state)?.overlay.get('split:bibby/catalog')).toMatchObject({
      weights: { 'v1.1': 2 },
    });
  });

  it.each([
    ['a replayed snapshot', [snapshot(3, 8), snapshot(3, 8)], 'stale'],
    ['an older snapshot', [snapshot(3, 8), snapshot(2, 7)], 'stale'],
    [
      'an older decision about the same target',
      [snapshot(1, 8), decision(3, 8), decision(2, 8)],
      'stale',
    ],
    ['a decision that the snapshot already contains', [snapshot(3, 8), decision(2, 8)], 'stale'],
    [
      'a snapshot below a decision on another revision',
      [snapshot(1, 8), decision(3, 8), snapshot(2, 9)],
      'stale',
    ],
    ['a decision on another revision', [snapshot(1, 8), decision(2, 9)], 'orphan'],
    ['a decision before any snapshot', [decision(2, 9)], 'orphan'],
    ['a message of another mesh', [{ ...snapshot(1, 8), mesh: 'other' }], 'rejected'],
    [
      'a message of another scope',
      [{ ...snapshot(1, 8), scope: 'edge.other' as const }],
      'rejected',
    ],
  ] as const)('refuses %s and changes nothing', (_, messages, outcome) => {
    const before = hear(...messages.slice(0, -1));
    const after = hear(...messages);
    expect(after.outcomes.at(-1)).toBe(outcome);
    expect(after.state).toEqual(before.state);
  });

  it('takes a decision that one about another target has overtaken', () => {
    const { outcomes, overlay } = hear(
      snapshot(1, 8),
      decision(3, 8, 'a/b'),
      decision(2, 8, 'c/d'),
    );
    expect(outcomes).toEqual(['applied', 'applied', 'applied']);
    expect(overlay).toEqual(['split:a/b', 'split:c/d']);
  });

  it('drops the overlay when a newer snapshot arrives', () => {
    expect(hear(snapshot(1, 8), decision(2, 8), snapshot(3, 9)).overlay).toEqual([]);
  });

  it('keeps what was decided after a snapshot that arrives late', () => {
    const { overlay, state } = hear(snapshot(1, 8), decision(3, 8), snapshot(2, 8));
    expect(overlay).toEqual(['split:bibby/catalog']);
    expect(state.position).toBe(3);
  });

  it('is the same again after its messages are folded anew', () => {
    const { state } = hear(snapshot(1, 8), decision(4, 8), decision(3, 8, 'a/b'), snapshot(2, 8));
    expect(hear(...messagesOf(state)).state).toEqual(state);
  });
});

describe('an agent of a scope with a policy canary', () => {
  const mine = ['edge-1'];
  const others = ['edge-2'];

  it('follows the trial alone while it is in the cohort', () => {
    const { outcomes, state } = hear(
      snapshot(1, 8),
      trial(2, 9, mine),
      { ...snapshot(3, 8), except: mine },
      { ...decision(4, 8), except: mine },
      trial(5, 9, mine),
    );
    expect(outcomes).toEqual(['applied', 'applied', 'other', 'other', 'applied']);
    expect(viewOf(state)).toMatchObject({ revision: 9, position: 5 });
  });

  it('never hears of it while it is not', () => {
    const { outcomes, state, overlay } = hear(snapshot(1, 8), trial(2, 9, others), {
      ...decision(3, 8),
      except: others,
    });
    expect(outcomes).toEqual(['applied', 'other', 'applied']);
    expect(viewOf(state)).toMatchObject({ revision: 8, position: 3 });
    expect(overlay).toEqual(['split:bibby/catalog']);
  });

  it('is back with everybody when it is over, whatever comes late', () => {
    const { outcomes, state } = hear(trial(2, 9, mine), snapshot(6, 8), trial(5, 9, mine));
    expect(outcomes).toEqual(['applied', 'applied', 'stale']);
    expect(viewOf(state)).toMatchObject({ revision: 8, position: 6 });
  });

  it('gets the revision again once it is committed', () => {
    const { outcomes, state } = hear(trial(2, 9, mine), snapshot(3, 9), decision(4, 9));
    expect(outcomes).toEqual(['applied', 'applied', 'applied']);
    expect(messagesOf(state)).toHaveLength(2);
  });
});
