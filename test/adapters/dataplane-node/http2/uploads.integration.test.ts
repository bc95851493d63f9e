// Bodies of requests, frame by frame: how they are read, and what becomes of them when nobody wants them.
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  ok,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';
import {
  type Fields,
  Flag,
  type FrameCaller,
  frame,
  frameCaller,
  getFields,
  headers,
  postFields,
  Type,
  windowUpdate,
} from './frames.ts';

afterEach(closeAll);

const MOST = 16_384;

const windowOf = (caller: FrameCaller, stream: number): number =>
  caller.frames
    .filter((each) => each.type === Type.WindowUpdate && each.stream === stream)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535);

/** As fast as the windows allow. */
const upload = async (caller: FrameCaller, stream: number, length: number): Promise<void> => {
  for (let sent = 0; sent < length; ) {
    const room = () => Math.min(windowOf(caller, stream), windowOf(caller, 0)) - sent;
    await expect.poll(room, { interval: 5 }).toBeGreaterThan(0);
    const part = Math.min(MOST, room(), length - sent);
    sent += part;
    const flags = sent === length ? Flag.EndStream : 0;
    await caller.send(frame(Type.Data, flags, stream, Buffer.alloc(part)));
  }
};

const hasEnded = (caller: FrameCaller, stream: number): boolean =>
  caller.frames.some(
    (each) =>
      each.type === Type.Data && each.stream === stream && (each.flags & Flag.EndStream) !== 0,
  );

const CONTINUE = Buffer.from('100');

describe('an upload', () => {
  const lengths: readonly { readonly said: string; readonly length: Fields }[] = [
    { said: 'with', length: [['content-length', '5']] },
    { said: 'without', length: [] },
  ];
  it.each(lengths)('$said a length that waits is told to go on', async ({ length }) => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('hello')) return false;
      socket.write(ok('ok'));
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    const fields: Fields = [...postFields, ['expect', '100-continue'], ...length];
    await caller.send(headers(1, fields, false));
    await expect
      .poll(() =>
        caller.frames.find(({ type }) => type === Type.Headers)?.payload.includes(CONTINUE),
      )
      .toBe(true);
    await caller.send(frame(Type.Data, Flag.EndStream, 1, 'hello'));
    await expect.poll(() => hasEnded(caller, 1)).toBe(true);
  });

  it('that goes on after an answer that nobody has taken yet is no fault', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      socket.pause();
      setTimeout(() => socket.write(ok('enough')), 200);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port, { settings: [[4, 0]] });
    const length = 20_000_000;
    await caller.send(headers(1, [...postFields, ['content-length', String(length)]], false));
    await upload(caller, 1, length);
    expect(hasEnded(caller, 1)).toBe(false);
    await caller.send(windowUpdate(1, 100));
    await expect.poll(() => hasEnded(caller, 1)).toBe(true);
    await caller.send(headers(3, getFields));
    await expect.poll(() => caller.frames.some(({ stream }) => stream === 3)).toBe(true);
    expect(caller.frames.filter(({ type }) => type === Type.RstStream)).toEqual([]);
  });

  it('harms no other stream when something throws while it is caught up with', async () => {
    const server = await fixedUpstream(ok());
    let decide = (): void => {};
    const logged: string[] = [];
    const { port } = await startPlane(
      viewOf([upstream([server.port])]),
      {
        handle: ({ method }, forward) =>
          method === 'GET' ? forward : new Promise((resolve) => (decide = () => resolve(forward))),
      },
      {
        onAccess: ({ flag }) => {
          if (flag === 'DPE') throw new Error('defect');
        },
        log: (message) => logged.push(message),
      },
    );
    const caller = await frameCaller(port);
    await caller.send(headers(1, [...postFields, ['content-length', '70000']], false));
    for (let i = 0; i < 5; i++) await caller.send(frame(Type.Data, 0, 1, Buffer.alloc(13_107)));
    await expect.poll(() => windowOf(caller, 1)).toBeGreaterThan(65_535);
    // More than is kept until somebody has decided; the end waits behind it, and comes too soon.
    await caller.send(frame(Type.Data, 0, 1, 'xx'));
    await caller.send(frame(Type.Data, Flag.EndStream, 1, 'x'));
    await caller.send(headers(3, getFields));
    await expect.poll(() => hasEnded(caller, 3)).toBe(true);
    decide();
    await expect.poll(() => caller.frames.some(({ type }) => type === Type.RstStream)).toBe(true);
    expect(logged).toEqual(['stream failed']);
    await caller.send(headers(5, getFields));
    await expect.poll(() => hasEnded(caller, 5)).toBe(true);
  });
});
