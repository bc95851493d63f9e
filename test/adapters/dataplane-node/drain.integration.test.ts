// A drain as callers see it: every request is answered, however it meets the end.
import http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  closing,
  get,
  ok,
  type RawCaller,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const slowUpstream = (ms: number) =>
  rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    setTimeout(() => socket.write(ok('done')), ms);
    return true;
  });

/** Sends one request after the other until an answer says that it is the last; resolves with how it went. */
const untilTold = async (port: number, pauseMs: number) => {
  const caller = await rawCaller(port);
  let answered = 0;
  for (;;) {
    caller.text = '';
    caller.send(get());
    // Rejects when the connection is closed instead.
    const answer = await caller.until('done');
    answered++;
    if (answer.includes('connection: close')) break;
    await sleep(pauseMs);
  }
  const rest = (await caller.untilClosed()).split('done')[1];
  return { answered, rest };
};

describe('a drain', () => {
  it('lets callers that keep sending finish: none meets a closed connection', async () => {
    const server = await slowUpstream(3);
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const callers = Array.from({ length: 40 }, (_, i) => untilTold(port, (i * 17) % 600));
    await sleep(250);
    const drained = plane.drain(20_000);
    const told = await Promise.all(callers);
    expect(told.every(({ answered, rest }) => answered > 0 && rest === '')).toBe(true);
    await drained;
  });

  it('still takes new callers where it is told to, one answer each', async () => {
    const server = await slowUpstream(0);
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const drained = plane.drain(20_000, 300);
    expect(await untilTold(port, 0)).toEqual({ answered: 1, rest: '' });
    await drained;
    await expect(rawCaller(port)).rejects.toThrow('ECONNREFUSED');
  });

  it('answers those who have come but have not been taken in yet', async () => {
    const server = await slowUpstream(0);
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const callers: Promise<RawCaller>[] = [];
    const drained = new Promise<void>((resolve) => {
      // In one phase of the event loop: the kernel has their connections, the plane has not.
      setImmediate(() => {
        for (let i = 0; i < 30; i++) callers.push(rawCaller(port));
      });
      setImmediate(() => resolve(plane.drain(20_000)));
    });
    await turn();
    for (const caller of await Promise.all(callers)) {
      caller.send(get());
      expect(await caller.until('done')).toContain('connection: close');
    }
    await drained;
  });

  it('still answers who was not told before that it would end', async () => {
    let finish = (): void => {};
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      if (text.startsWith('GET /slow')) {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf');
        finish = () => void socket.write('done');
      } else socket.write(ok('done'));
      return true;
    });
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get('/slow'));
    expect(await caller.until('half')).not.toContain('connection: close');
    const drained = plane.drain(20_000);
    // Long after idle connections have been closed.
    await sleep(1200);
    finish();
    await caller.until('halfdone');
    caller.text = '';
    caller.send(get());
    expect(await caller.until('done')).toContain('connection: close');
    await drained;
  });

  it('tells callers of HTTP/2 to go elsewhere, and finishes what is on its way', async () => {
    const server = await slowUpstream(50);
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const session = http2.connect(`http://127.0.0.1:${port}`);
    closing(() => session.destroy());
    const ask = () =>
      new Promise<number>((resolve, reject) => {
        const stream = session.request({ ':path': '/', ':authority': 'api.bibby.com' });
        let status = 0;
        stream.on('response', (headers) => (status = Number(headers[':status'])));
        stream.on('end', () => resolve(status));
        stream.on('error', reject);
        stream.resume();
      });
    expect(await ask()).toBe(200);
    const goneAway = new Promise((resolve) => session.once('goaway', resolve));
    const underWay = ask();
    const hasBegun = () => server.received.join('').split('GET').length === 3;
    while (!hasBegun()) await sleep(2);
    const drained = plane.drain(20_000);
    expect(await underWay).toBe(200);
    expect(await goneAway).toBe(0);
    await drained;
    expect(plane.stats().connections).toBe(0);
  });
});
