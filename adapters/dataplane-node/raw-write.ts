// Writes text to a TCP socket past the stream machinery, which costs as much as parsing the request. It rests on how one release
// of the runtime calls its own handle, so it is on for that release only; every other one writes by stream.
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** Releases whose `handle.writeLatin1String(null, text)` answers with 0, an error number, or the request that waits. */
const KNOWN_RELEASES = new Set(['26.10.0']);

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Set when it was over before anybody could listen. */
  writeStatus: number | null;
  handle: unknown;
  async: boolean;
}

interface TextHandle {
  writeLatin1String(request: null, text: string): number | WriteRequest;
}

export type RawWrite = (
  socket: Socket,
  text: string,
  onLeft: () => void,
) => 'left' | 'waits' | 'failed';

const write: RawWrite = (socket, text, onLeft) => {
  const handle = (socket as { _handle?: TextHandle | null })._handle;
  if (!handle || socket.destroyed) return 'failed';
  const answer = handle.writeLatin1String(null, text);
  if (answer === 0) return 'left';
  if (typeof answer === 'number') {
    socket.destroy(new Error(`write ${getSystemErrorName(answer)}`));
    return 'failed';
  }
  answer.handle = handle;
  answer.async = true;
  answer.oncomplete = (status) => {
    if (status < 0) socket.destroy(new Error(`write ${getSystemErrorName(status)}`));
    else onLeft();
  };
  const { writeStatus } = answer;
  if (writeStatus === null) return 'waits';
  answer.writeStatus = null;
  if (writeStatus >= 0) return 'left';
  answer.oncomplete(writeStatus);
  return 'failed';
};

/** Undefined where it cannot be relied on. */
export const rawWrite: RawWrite | undefined = KNOWN_RELEASES.has(process.versions.node)
  ? write
  : undefined;
