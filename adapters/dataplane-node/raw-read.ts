// Lets a TLS socket that is open already read into a buffer of ours, as sockets can that are given one when they are made. It rests
// on how one release of the runtime keeps that buffer, so it is on for that release only; every other one reads by events.
import net from 'node:net';
import type { TLSSocket } from 'node:tls';

const KNOWN_RELEASES = new Set(['26.10.0']);

interface Handled {
  _handle?: { useUserBuffer(buffer: Buffer): void } | null;
}
type Slots = Record<symbol, unknown>;

/** Where a socket keeps its buffer, and whom it tells of what is in it. */
const slotsOf = (): readonly [symbol, symbol] | undefined => {
  const probe = new net.Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } });
  const symbols = Object.getOwnPropertySymbols(probe);
  const [buffer, callback] = ['kBuffer', 'kBufferCb'].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  probe.destroy();
  return buffer && callback && [buffer, callback];
};

const slots = KNOWN_RELEASES.has(process.versions.node) ? slotsOf() : undefined;

/** False where it cannot be relied on. What has been read before is still the stream's. */
export const readInto = (
  socket: TLSSocket,
  buffer: Buffer,
  onRead: (length: number) => void,
): boolean => {
  const handle = (socket as Handled)._handle;
  if (!slots || !handle || socket.destroyed) return false;
  const own = socket as unknown as Slots;
  own[slots[0]] = buffer;
  own[slots[1]] = (length: number): true => {
    onRead(length);
    return true;
  };
  handle.useUserBuffer(buffer);
  return true;
};
