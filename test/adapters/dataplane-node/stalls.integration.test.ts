// The event loop stands still for a while, as on a machine that is busy elsewhere: what came in meanwhile was in time.
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

/** From within the event loop's check phase: its timers come next, and only then what arrived. */
const standStill = (ms: number, before: () => void): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(() => {
      before();
      const until = performance.now() + ms;
      while (performance.now() < until);
      resolve();
    });
  });

const limited = (limits: object) => [listener({ limits: { ...listener().limits, ...limits } })];

describe('a process that stands still', () => {
  it('answers what came in on an idle connection meanwhile, though its time is over', async () => {
    const server = await fixedUpstream(ok('done'));
    const view = viewOf([upstream([server.port])], limited({ idleTimeoutMs: 300 }));
    const { port } = await startPlane(view);
    const callers = await Promise.all(Array.from({ length: 20 }, () => rawCaller(port)));
    for (const caller of callers) caller.send(get());
    for (const caller of callers) {
      await caller.until('done');
      caller.text = '';
    }
    await standStill(700, () => {
      for (const caller of callers) caller.send(get());
    });
    for (const caller of callers) await caller.until('done');
  });

  it('reads the rest of a head that came meanwhile', async () => {
    const server = await fixedUpstream(ok('done'));
    const view = viewOf([upstream([server.port])], limited({ headerTimeoutMs: 300 }));
    const { port } = await startPlane(view);
    const caller = await rawCaller(port);
    caller.send('GET / HTTP/1.1\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await standStill(700, () => caller.send('Host: api.bibby.com\r\n\r\n'));
    await caller.until('done');
  });

  it('passes on an answer that came meanwhile', async () => {
    let answer = (): void => {};
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      answer = () => void socket.write(ok('done'));
      return true;
    });
    const behaviour = { action: { timeoutMs: 300 } };
    const { port } = await startPlane(viewOf([upstream([server.port])]), behaviour);
    const caller = await rawCaller(port);
    caller.send(get());
    while (server.received[0] === undefined || server.received[0] === '')
      await new Promise((resolve) => setTimeout(resolve, 5));
    await standStill(700, () => answer());
    expect(await caller.until(/\r\n\r\n/)).toMatch(/^HTTP\/1.1 200 OK/);
  });
});
