// The one buffer that plain and TLS sockets read into.

const SIZE = 65_536;

export const sharedBuffer = Buffer.allocUnsafeSlow(SIZE);

/** `bytes[start, end)` for longer than the call that brought them: copied if the next read would overwrite them. */
export const keptBytes = (bytes: Buffer, start: number, end: number): Buffer => {
  if (bytes !== sharedBuffer)
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
};
