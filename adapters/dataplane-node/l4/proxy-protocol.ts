// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): who the caller is, said by a proxy in front.
import net from 'node:net';
import { plainAddress } from '../downstream/client-address.ts';
import type { Reading } from './preamble.ts';

export interface Hop {
  readonly address: string;
  readonly port: number;
}

export interface ProxiedAddresses {
  readonly source: Hop;
  readonly destination: Hop;
}

/** Undefined: the proxy speaks for itself (LOCAL, UNKNOWN). */
export type Proxied = ProxiedAddresses | undefined;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V1_START = 'PROXY ';
const V1_MAX_BYTES = 107;
const V2_HEAD = 16;
/** Addresses and TLVs; a TLV may hold a certificate. */
const V2_MAX_BYTES = 8192;

const refused = (reason: string): Reading<Proxied> => ({ type: 'refused', reason });

/** `bytes` is everything that has come so far; one header, in either version, has to stand at its start. */
export const readProxyHeader = (bytes: Buffer): Reading<Proxied> => {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (SIGNATURE.subarray(0, known).equals(bytes.subarray(0, known))) return readV2(bytes);
  if (V1_START.startsWith(bytes.latin1Slice(0, Math.min(bytes.length, V1_START.length))))
    return readV1(bytes);
  return refused('no PROXY protocol');
};

const readV1 = (bytes: Buffer): Reading<Proxied> => {
  const text = bytes.latin1Slice(0, Math.min(bytes.length, V1_MAX_BYTES));
  const end = text.indexOf('\r\n');
  if (end < 0)
    return bytes.length >= V1_MAX_BYTES || /[^ -~\r]|\r./.test(text)
      ? refused('a malformed PROXY line')
      : { type: 'more', atLeast: bytes.length + 1 };
  const used = end + 2;
  const line = text.slice(0, end);
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { type: 'done', value: undefined, used };
  const value = addressesIn(line);
  return value ? { type: 'done', value, used } : refused('a malformed PROXY line');
};

const addressesIn = (line: string): ProxiedAddresses | undefined => {
  const [, digit, from = '', to = '', fromPort = '', toPort = ''] =
    /^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) ([0-9]+) ([0-9]+)$/.exec(line) ?? [];
  const version = Number(digit);
  if (net.isIP(from) !== version || net.isIP(to) !== version) return undefined;
  if (!isPort(fromPort) || !isPort(toPort)) return undefined;
  return {
    source: { address: plainAddress(from), port: Number(fromPort) },
    destination: { address: plainAddress(to), port: Number(toPort) },
  };
};

const isPort = (text: string): boolean =>
  /^(?:0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535;

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** A family or transport that the proxy cannot name. */
const UNSPECIFIED = 0x00;
const UNIX_STREAM = 0x31;

const readV2 = (bytes: Buffer): Reading<Proxied> => {
  if (bytes.length < V2_HEAD) return { type: 'more', atLeast: V2_HEAD };
  const command = bytes[12] as number;
  const family = bytes[13] as number;
  const length = bytes.readUInt16BE(14);
  if (command !== LOCAL && command !== PROXY) return refused('an unknown PROXY command');
  if (length > V2_MAX_BYTES) return refused('a PROXY header that is too long');
  const used = V2_HEAD + length;
  if (bytes.length < used) return { type: 'more', atLeast: used };
  const body = bytes.subarray(V2_HEAD, used);
  if (command === LOCAL) return { type: 'done', value: undefined, used };
  switch (family) {
    case UNSPECIFIED:
    case UNIX_STREAM:
      return { type: 'done', value: undefined, used };
    case TCP4:
      return addressed(body, 4, used);
    case TCP6:
      return addressed(body, 16, used);
    default:
      return refused('a PROXY header for something other than TCP');
  }
};

/** Two addresses of `size` bytes, two ports, then TLVs, which are skipped but have to fit. */
const addressed = (body: Buffer, size: number, used: number): Reading<Proxied> => {
  const end = 2 * size + 4;
  if (body.length < end || !areTlvs(body.subarray(end))) return refused('a malformed PROXY header');
  const value = {
    source: { address: addressIn(body.subarray(0, size)), port: body.readUInt16BE(2 * size) },
    destination: {
      address: addressIn(body.subarray(size, 2 * size)),
      port: body.readUInt16BE(2 * size + 2),
    },
  };
  return { type: 'done', value, used };
};

const areTlvs = (bytes: Buffer): boolean => {
  let at = 0;
  while (at + 3 <= bytes.length) at += 3 + bytes.readUInt16BE(at + 1);
  return at === bytes.length;
};

const addressIn = (bytes: Buffer): string => {
  if (bytes.length === 4) return bytes.join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i).toString(16));
  const { address } = new net.SocketAddress({ address: groups.join(':'), family: 'ipv6' });
  return plainAddress(address);
};

/** The header to send upstream. */
export const proxyHeader = (
  version: 'v1' | 'v2',
  { source, destination }: ProxiedAddresses,
): Buffer => {
  const isV4 = net.isIPv4(source.address) && net.isIPv4(destination.address);
  const addresses = [source.address, destination.address];
  if (addresses.some((each) => net.isIP(each) === 0)) return unknownHeader(version);
  const [from = '', to = ''] = isV4 ? addresses : addresses.map(wide);
  if (version === 'v1')
    return Buffer.from(
      `PROXY ${isV4 ? 'TCP4' : 'TCP6'} ${from} ${to} ${source.port} ${destination.port}\r\n`,
      'latin1',
    );
  const body = Buffer.concat([bytesOf(from), bytesOf(to), Buffer.alloc(4)]);
  body.writeUInt16BE(source.port, body.length - 4);
  body.writeUInt16BE(destination.port, body.length - 2);
  return Buffer.concat([SIGNATURE, v2Head(PROXY, isV4 ? TCP4 : TCP6, body.length), body]);
};

const unknownHeader = (version: 'v1' | 'v2'): Buffer =>
  version === 'v1'
    ? Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
    : Buffer.concat([SIGNATURE, v2Head(LOCAL, UNSPECIFIED, 0)]);

const v2Head = (command: number, family: number, length: number): Buffer => {
  const head = Buffer.from([command, family, 0, 0]);
  head.writeUInt16BE(length, 2);
  return head;
};

/** Both addresses are of one family: IPv4 becomes IPv6. */
const wide = (address: string): string => (net.isIPv4(address) ? `::ffff:${address}` : address);

const bytesOf = (address: string): Buffer => {
  if (net.isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = dotted
    ? `${dotted[1]}${hex16(dotted[2], dotted[3])}:${hex16(dotted[4], dotted[5])}`
    : address;
  const [left = '', right] = (text.split('%')[0] ?? '').split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index);
  return bytes;
};

const hex16 = (high = '0', low = '0'): string => (Number(high) * 256 + Number(low)).toString(16);
