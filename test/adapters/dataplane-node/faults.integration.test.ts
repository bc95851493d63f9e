// Upstreams that misbehave in every way: an answer is right, or it says 50x, or it is visibly broken off. It is never another's.
import http from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, closing, rawUpstream, startPlane, upstream, viewOf } from './support.ts';

afterEach(closeAll);

const seeded = (seed: number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

type Misbehaviour = (socket: Socket, nonce: string) => void;

const answer = (nonce: string) =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${nonce.length}\r\n\r\n${nonce}`;
const chunked = (nonce: string) =>
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${nonce.length.toString(16)}\r\n${nonce}\r\n0\r\n\r\n`;

const misbehaviours: readonly Misbehaviour[] = [
  (socket, nonce) => socket.write(answer(nonce)),
  (socket, nonce) => socket.write(answer(nonce)),
  (socket, nonce) => socket.write(chunked(nonce)),
  (socket, nonce) => socket.end(answer(nonce)),
  (socket, nonce) => {
    const bytes = answer(nonce).split('');
    const drip = setInterval(() => {
      const byte = bytes.splice(0, 7).join('');
      if (byte === '' || socket.destroyed) clearInterval(drip);
      else socket.write(byte);
    }, 1);
  },
  (socket, nonce) => socket.write(answer(nonce) + answer('stray')),
  (socket, nonce) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${answer(nonce)}`),
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
  (socket, nonce) => {
    socket.write(answer(nonce).slice(0, -2));
    setTimeout(() => socket.destroy(), 3);
  },
  (socket, nonce) => {
    socket.write(chunked(nonce).slice(0, -5));
    setTimeout(() => socket.resetAndDestroy(), 3);
  },
  (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd'),
  (socket) => socket.write('nonsense\r\n\r\n'),
  () => {},
];

const ask = (port: number, agent: http.Agent, nonce: string): Promise<string> =>
  new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: `/${nonce}`, agent }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve(`${response.statusCode} ${response.complete ? text : 'broken'}`),
      );
      response.on('error', () => resolve('200 broken'));
    });
    request.on('error', () => resolve('broken'));
  });

describe('an upstream full of faults', () => {
  it('never makes an answer wrong', async () => {
    const random = seeded(7);
    const server = await rawUpstream((socket, text) => {
      if (!text.endsWith('\r\n\r\n')) return false;
      const nonce = /^GET \/(\S+)/.exec(text)?.[1] ?? '';
      const misbehave = misbehaviours[Math.floor(random() * misbehaviours.length)] as Misbehaviour;
      misbehave(socket, nonce);
      return true;
    });
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]), {
      action: { timeoutMs: 250 },
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    closing(() => agent.destroy());
    const counts = new Map<string, number>();
    const wrong: string[] = [];
    const callers = Array.from({ length: 16 }, async (_, caller) => {
      for (let i = 0; i < 60; i++) {
        const nonce = `n-${caller}-${i}-${'x'.repeat(i)}`;
        const got = await ask(port, agent, nonce);
        const kind =
          got === `200 ${nonce}` ? 'right' : got.endsWith('broken') ? 'broken' : got.slice(0, 3);
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
        if (!['right', 'broken', '502', '503', '504'].includes(kind))
          wrong.push(`${nonce}: ${got}`);
      }
    });
    await Promise.all(callers);
    expect(wrong).toEqual([]);
    for (const kind of ['right', 'broken', '502', '503', '504'])
      expect(counts.get(kind) ?? 0, kind).toBeGreaterThan(5);
    expect(plane.stats().exchanges).toBe(0);
  });
});
