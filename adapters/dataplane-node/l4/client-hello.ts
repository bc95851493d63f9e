// Reads the server name out of a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3) without taking part in the handshake. Strict: what two
// readers could understand in two ways is refused.
import type { Reading } from './preamble.ts';

export interface ClientHello {
  /** Lower case; undefined when the caller names none. */
  readonly serverName: string | undefined;
}

/** Of the whole message; browsers with post-quantum keys send about 1,800 bytes. */
const MAX_HELLO_BYTES = 32_768;
const MAX_RECORD_BYTES = 16_384;
const RECORD_HEAD = 5;
const HANDSHAKE_HEAD = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

const refused = (reason: string): Reading<never> => ({ type: 'refused', reason });

/** `bytes` is everything that has come so far. Nothing of it is used up: the server wants to see it, too. */
export const readClientHello = (bytes: Buffer): Reading<ClientHello> => {
  const fragments: Buffer[] = [];
  let gathered = 0;
  let whole = HANDSHAKE_HEAD;
  for (let at = 0; gathered < whole; ) {
    const record = recordAt(bytes, at);
    if (record.type !== 'done') return record;
    fragments.push(record.value);
    gathered += record.value.length;
    at += record.used;
    const message = Buffer.concat(fragments);
    if (message[0] !== CLIENT_HELLO) return refused('no ClientHello');
    if (gathered < HANDSHAKE_HEAD) continue;
    whole = HANDSHAKE_HEAD + message.readUIntBE(1, 3);
    if (whole > MAX_HELLO_BYTES) return refused('a ClientHello that is too large');
  }
  if (gathered > whole) return refused('something follows the ClientHello');
  const serverName = serverNameIn(Buffer.concat(fragments).subarray(HANDSHAKE_HEAD));
  return serverName === MALFORMED
    ? refused('a malformed ClientHello')
    : { type: 'done', value: { serverName }, used: 0 };
};

/** What the handshake record at that place holds. */
const recordAt = (bytes: Buffer, at: number): Reading<Buffer> => {
  const [type, major, minor] = bytes.subarray(at, at + 3);
  if (type !== undefined && type !== HANDSHAKE) return refused('this is not TLS');
  if (bytes.length < at + RECORD_HEAD) return { type: 'more', atLeast: at + RECORD_HEAD };
  if (major !== 3 || minor === undefined || minor < 1 || minor > 4)
    return refused('a TLS record of an unknown version');
  const length = bytes.readUInt16BE(at + 3);
  if (length === 0 || length > MAX_RECORD_BYTES) return refused('a TLS record of a wrong size');
  const used = RECORD_HEAD + length;
  if (bytes.length < at + used) return { type: 'more', atLeast: at + used };
  return { type: 'done', value: bytes.subarray(at + RECORD_HEAD, at + used), used };
};

const MALFORMED = Symbol('malformed');
type ServerName = string | undefined | typeof MALFORMED;

/** Walks over bytes; every step says whether they are there. */
class Walk {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  /** A vector with a length of `width` bytes in front. */
  vector(width: number): Buffer | undefined {
    const start = this.at + width;
    if (start > this.bytes.length) return undefined;
    const end = start + this.bytes.readUIntBE(this.at, width);
    if (end > this.bytes.length) return undefined;
    this.at = end;
    return this.bytes.subarray(start, end);
  }

  number(width: number): number | undefined {
    if (this.at + width > this.bytes.length) return undefined;
    this.at += width;
    return this.bytes.readUIntBE(this.at - width, width);
  }
}

/** `hello` is the body of the message. */
const serverNameIn = (hello: Buffer): ServerName => {
  const walk = new Walk(hello);
  const version = walk.number(2);
  if (version === undefined || version < 0x0301 || version > 0x0303) return MALFORMED;
  walk.at += 32; // random
  const session = walk.vector(1);
  const ciphers = walk.vector(2);
  const compression = walk.vector(1);
  if (!session || session.length > 32) return MALFORMED;
  if (!ciphers || ciphers.length < 2 || ciphers.length % 2 !== 0) return MALFORMED;
  if (!compression?.includes(0)) return MALFORMED;
  if (walk.isAtEnd) return undefined;
  const extensions = walk.vector(2);
  return extensions && walk.isAtEnd ? nameInExtensions(extensions) : MALFORMED;
};

const nameInExtensions = (extensions: Buffer): ServerName => {
  const walk = new Walk(extensions);
  const seen = new Set<number>();
  let name: ServerName;
  while (!walk.isAtEnd) {
    const type = walk.number(2);
    const data = walk.vector(2);
    if (type === undefined || !data || seen.has(type)) return MALFORMED;
    seen.add(type);
    if (type !== SERVER_NAME) continue;
    name = nameInList(data);
    if (name === MALFORMED) return MALFORMED;
  }
  return name;
};

/** Exactly one name, of the only type there is. */
const nameInList = (data: Buffer): ServerName => {
  const outer = new Walk(data);
  const list = outer.vector(2);
  if (!list || !outer.isAtEnd) return MALFORMED;
  const walk = new Walk(list);
  const type = walk.number(1);
  const name = walk.vector(2)?.latin1Slice().toLowerCase();
  return type === HOST_NAME && walk.isAtEnd && name !== undefined && isHostName(name)
    ? name
    : MALFORMED;
};

/** Labels of letters, digits, `-` and `_`; no address, no dot at the end (RFC 6066). */
const isHostName = (name: string): boolean =>
  name.length <= 253 &&
  /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/.test(
    name,
  ) &&
  !/^[0-9.]+$/.test(name);
