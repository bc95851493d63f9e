import { beforeEach, describe, expect, it } from 'vitest';
import type { ControlMessage } from '#engine/model/control-message.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import { describeAck, Follower } from '#services/agent/follower.ts';
import {
  createFakePlane,
  createManualTime,
  createMemoryLastGood,
  type FakePlane,
  type MemoryLastGood,
} from '#test/support/agent-fakes.ts';
import {
  controlKeys,
  decisionMessage,
  snapshotMessage,
  trialMessage,
} from '#test/support/control-messages.ts';

const keys = await controlKeys();
const strangers = await controlKeys();
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

let plane: FakePlane;
let store: MemoryLastGood;
let lines: string[];
let follower: Follower;
let sequence: number;

const createFollower = (prepare = (view: PlaneView) => view): Follower =>
  new Follower(
    { agent: 'edge-1', mesh: 'default', scope: 'edge.public' },
    {
      verifier: keys.verifier,
      plane,
      store,
      clock: createManualTime(),
      log: (line) => lines.push(line),
      prepare,
    },
  );

beforeEach(() => {
  plane = createFakePlane();
  store = createMemoryLastGood();
  lines = [];
  sequence = 0;
  follower = createFollower();
});

/** As the next entry of the stream. */
const hear = async (message: ControlMessage, isBacklog = false) => {
  sequence += 1;
  return await follower.take({ sequence, data: await keys.seal(message), isBacklog });
};

describe('a control message', () => {
  it('is put in force, saved as it was received, and acked', async () => {
    const data = await keys.seal(snapshotMessage(1, 8));
    const ack = await follower.take({ sequence: 1, data, isBacklog: false });
    expect(ack).toMatchObject({
      outcome: 'applied',
      message: 'snapshot',
      position: 1,
      revision: 8,
    });
    expect(plane.views.at(-1)).toMatchObject({ revision: 8, position: 1 });
    expect(store.saved[0]).toEqual([data]);
  });

  it('for other agents of the scope is no news at all', async () => {
    await hear(snapshotMessage(1, 8));
    expect(await hear(trialMessage(2, 9, ['edge-2']))).toBeUndefined();
    expect(await hear({ ...snapshotMessage(3, 8), except: ['edge-1'] })).toBeUndefined();
    expect(follower.position).toBe(1);
    expect(follower.isBehind).toBe(false);
  });

  it('of a policy canary survives a restart', async () => {
    await hear(snapshotMessage(1, 8));
    const ack = await hear(trialMessage(2, 9, ['edge-1']));
    expect(ack).toMatchObject({ message: 'trial', outcome: 'applied', revision: 9 });
    const again = createFollower();
    await again.recover();
    expect([again.revision, again.position]).toEqual([9, 2]);
  });

  it('says when control published it and how long it took', async () => {
    const ack = await hear({ ...snapshotMessage(1, 8), issuedMs: 999_990 });
    expect(ack).toMatchObject({ lagMs: 10, tookMs: 0, atMs: 1_000_000 });
  });

  it.each([
    ['forged', async () => await strangers.seal(snapshotMessage(9, 9)), 'is not trusted'],
    ['not sealed at all', async () => text(snapshotMessage(9, 9)), 'sealed message'],
    [
      'altered',
      async () => {
        const sealed = (await keys.seal(snapshotMessage(9, 9))).slice();
        sealed[200] = sealed[200] === 65 ? 66 : 65;
        return sealed;
      },
      'signature',
    ],
  ])('is rejected and changes nothing when it is %s', async (_, make, reason) => {
    await hear(snapshotMessage(1, 8));
    const ack = await follower.take({ sequence: 2, data: await make(), isBacklog: false });
    expect(ack).toMatchObject({ outcome: 'rejected', message: 'unreadable', revision: 8 });
    expect(ack?.reason).toContain(reason);
    expect(plane.attempts).toBe(1);
    expect(store.saved).toHaveLength(1);
  });

  it('is rejected when it is for another scope', async () => {
    const ack = await hear({ ...snapshotMessage(9, 9), scope: 'edge.other' });
    expect(ack).toMatchObject({ outcome: 'rejected', reason: 'addressed to default/edge.other' });
  });

  it('is acked stale when an old one comes again', async () => {
    await hear(snapshotMessage(1, 8));
    await hear(snapshotMessage(2, 9));
    expect(await hear(snapshotMessage(1, 8))).toMatchObject({ outcome: 'stale', revision: 9 });
  });

  it('is acked orphan when it was decided against another revision', async () => {
    await hear(snapshotMessage(1, 8));
    expect(await hear(decisionMessage(2, 7))).toMatchObject({ outcome: 'orphan', revision: 8 });
  });

  it('is no news when the stream is read again after a reconnect', async () => {
    await hear(snapshotMessage(1, 8));
    const data = await keys.seal(snapshotMessage(1, 8));
    expect(await follower.take({ sequence: 1, data, isBacklog: false })).toBeUndefined();
  });

  it('is no news when others have overtaken it before the agent came', async () => {
    expect(await hear(decisionMessage(1, 7), true)).toBeUndefined();
    await hear(snapshotMessage(3, 8), true);
    expect(await hear(decisionMessage(2, 8), true)).toBeUndefined();
  });

  it('that a reader skipped still counts after it is read again', async () => {
    await hear(snapshotMessage(1, 8));
    await follower.take({
      sequence: 3,
      data: await keys.seal(decisionMessage(3, 8, 'a/b')),
      isBacklog: false,
    });
    const late = await keys.seal(decisionMessage(2, 8, 'c/d'));
    const ack = await follower.take({ sequence: 2, data: late, isBacklog: false });
    expect(ack).toMatchObject({ outcome: 'applied', appliedPosition: 3 });
  });
});

describe('a snapshot that the data plane refuses', () => {
  beforeEach(async () => {
    await hear(snapshotMessage(1, 8));
    plane.refuse = 'port 80 is taken';
    expect(await hear(snapshotMessage(2, 9))).toMatchObject({
      outcome: 'rejected',
      reason: 'port 80 is taken',
      position: 2,
      revision: 8,
    });
  });

  it('leaves the one before in force and on disk', async () => {
    expect(follower).toMatchObject({ revision: 8, position: 1, isBehind: true });
    const again = createFollower();
    plane.refuse = undefined;
    await again.recover();
    expect(again.revision).toBe(8);
  });

  it('is not tried again, and a newer one is', async () => {
    const { attempts } = plane;
    expect(await hear(snapshotMessage(2, 9))).toMatchObject({ outcome: 'rejected' });
    expect(plane.attempts).toBe(attempts);
    plane.refuse = undefined;
    expect(await hear(snapshotMessage(3, 10))).toMatchObject({ outcome: 'applied' });
    expect(follower.isBehind).toBe(false);
  });
});

describe('after a restart', () => {
  it('serves snapshot and decisions from disk without the bus', async () => {
    await hear(snapshotMessage(1, 8));
    await hear(decisionMessage(3, 8, 'a/b'));
    await hear(decisionMessage(2, 8, 'c/d'));
    const again = createFollower();
    await again.recover();
    expect(again.view).toMatchObject({ revision: 8, position: 3 });
    expect([...(again.view?.overlay.keys() ?? [])]).toEqual(['split:a/b', 'split:c/d']);
  });

  it('does not report what the stream still holds as an attack', async () => {
    await hear(snapshotMessage(1, 8));
    follower = createFollower();
    await follower.recover();
    sequence = 0;
    expect(await hear(snapshotMessage(1, 8), true)).toBeUndefined();
  });

  it.each([
    ['forged', async () => [await strangers.seal(snapshotMessage(9, 9))]],
    [
      'of another scope',
      async () => [await keys.seal({ ...snapshotMessage(9, 9), scope: 'edge.x' })],
    ],
    ['without its snapshot', async () => [await keys.seal(decisionMessage(9, 8))]],
    ['of unreadable bytes', async () => [new Uint8Array([1, 2, 3])]],
  ])('puts a state %s aside and serves the one before', async (_, make) => {
    await hear(snapshotMessage(1, 8));
    await store.save(await make());
    const again = createFollower();
    await again.recover();
    expect(again.revision).toBe(8);
    expect(store.refused).toEqual(['state 0']);
    expect(lines.join()).toContain('put aside');
  });

  it('starts without a state when the disk cannot be read', async () => {
    store.load = async () => {
      throw new Error('permission denied');
    };
    await follower.recover();
    expect(lines).toEqual(['cannot read the last good state: permission denied']);
    expect(await hear(snapshotMessage(1, 8))).toMatchObject({ outcome: 'applied' });
  });

  it('keeps a state that can be trusted, though it cannot be enforced now', async () => {
    await hear(snapshotMessage(1, 8));
    plane.refuse = 'no such certificate file';
    const again = createFollower();
    await again.recover();
    expect(again.view).toBeUndefined();
    expect(store.refused).toEqual([]);
  });

  it('serves nothing when nothing on disk can be trusted', async () => {
    await store.save([await strangers.seal(snapshotMessage(9, 9))]);
    await follower.recover();
    expect(follower.view).toBeUndefined();
    expect(plane.attempts).toBe(0);
  });
});

describe('the disk', () => {
  it('has the newer state before that is in force, so a crash in between never goes back', async () => {
    const order: string[] = [];
    plane = createFakePlane(order);
    store = createMemoryLastGood(order);
    follower = createFollower();
    await hear(snapshotMessage(1, 8));
    expect(order).toEqual(['save', 'activate', 'flush']);
  });

  it('may be full: policy takes effect all the same', async () => {
    store.isFull = true;
    expect(await hear(snapshotMessage(1, 8))).toMatchObject({ outcome: 'applied' });
    expect(lines.join()).toContain('no space left on device');
  });
});

describe('a view', () => {
  it('gets what only this machine knows before it is put in force', async () => {
    follower = createFollower((view) => ({ ...view, position: 77 }));
    await hear(snapshotMessage(1, 8));
    expect(plane.views.at(-1)?.position).toBe(77);
  });
});

describe('describeAck', () => {
  it('says in one line what happened', async () => {
    const ack = await hear(snapshotMessage(2 ** 32 * 3 + 17, 8));
    expect(ack && describeAck(ack)).toBe('snapshot 3.17 applied in 0.0 ms, now at r8');
  });
});
