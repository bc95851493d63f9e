import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { Deadlines } from '#adapters/dataplane-node/deadlines.ts';
import type { ConnectionHome } from '#adapters/dataplane-node/downstream/connection-home.ts';
import type { PeerFacts } from '#adapters/dataplane-node/downstream/request-view.ts';
import type { PlaneContext } from '#adapters/dataplane-node/exchange/context.ts';
import { CallerSession } from '#adapters/dataplane-node/http2/caller-session.ts';
import { PREFACE } from '#adapters/dataplane-node/http2/frames.ts';
import { listener } from '../support.ts';
import { frame, settings, Type } from './frames.ts';

/** Takes everything, and says that it has not left yet. */
class SlowSocket {
  readonly writableNeedDrain = false;
  writableLength = 1;
  ended = false;
  destroyed = false;
  write(): boolean {
    return true;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
  pause(): void {}
}

const open = () => {
  let now = 0;
  const deadlines = new Deadlines(() => now, 10);
  const socket = new SlowSocket();
  const home = { plan: { first: listener() }, forget: () => {} } as unknown as ConnectionHome;
  const session = new CallerSession(
    socket as unknown as Socket,
    home,
    {} as PeerFacts,
    { deadlines } as PlaneContext,
  );
  const hear = (...frames: readonly Buffer[]): void => {
    const bytes = Buffer.concat(frames);
    session.onBytes(bytes, bytes.length);
  };
  const pass = (ms: number): void => {
    for (const end = now + ms; now < end; deadlines.tick()) now += 10;
  };
  hear(Buffer.from(PREFACE, 'latin1'), settings([]));
  return { session, socket, hear, pass };
};

it('what has been said last leaves before the connection goes', () => {
  const { session, socket, hear, pass } = open();
  hear(frame(Type.GoAway, 0, 0, Buffer.alloc(8)));
  expect(socket.ended).toBe(true);
  pass(5000);
  expect(socket.destroyed).toBe(false);
  socket.writableLength = 0;
  session.onDrain();
  pass(1100);
  expect(socket.destroyed).toBe(true);
});

it('a caller that never takes it is not waited for without end', () => {
  const { socket, hear, pass } = open();
  hear(frame(Type.GoAway, 0, 0, Buffer.alloc(8)));
  pass(31_000);
  expect(socket.destroyed).toBe(true);
});

it('a caller at fault is not waited for', () => {
  const { socket, hear, pass } = open();
  hear(frame(Type.Ping, 0, 0, 'short'));
  expect(socket.ended).toBe(true);
  pass(1100);
  expect(socket.destroyed).toBe(true);
});
