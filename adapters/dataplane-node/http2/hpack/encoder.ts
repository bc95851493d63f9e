// Writes field blocks as RFC 7541 has them, as Latin-1 text: static names, values as they are. It keeps no table, so nothing that one caller is
// told can be guessed at by another (RFC 7541 7.1), and blocks may be written in any order.
import { STATIC_TABLE } from './static-table.ts';

/** Tells a decoder that the table is not used, whatever size it allows. */
export const NO_TABLE = '\x20';

/** Names are written by upstreams, so they may be many. */
const MAX_KNOWN_NAMES = 1000;

const integer = (value: number, mask: number, pattern: number): string => {
  if (value < mask) return String.fromCharCode(pattern | value);
  let text = String.fromCharCode(pattern | mask);
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) text += String.fromCharCode((rest & 127) | 128);
  return text + String.fromCharCode(rest);
};

/** By length. */
const lengths = Array.from({ length: 128 }, (_, length) => integer(length, 127, 0));

const literal = (text: string): string =>
  (lengths[text.length] ?? integer(text.length, 127, 0)) + text;

const staticNames = new Map<string, number>();
for (const [i, [name]] of STATIC_TABLE.entries())
  if (!staticNames.has(name)) staticNames.set(name, i + 1);

const knownNames = new Map<string, string>();

/** What stands before the value of a field that no table takes. */
const nameOf = (name: string): string => {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const index = staticNames.get(name);
  const written = index === undefined ? `\0${literal(name)}` : integer(index, 15, 0);
  if (knownNames.size >= MAX_KNOWN_NAMES) knownNames.clear();
  knownNames.set(name, written);
  return written;
};

/** `name` in lower case. */
export const fieldBlock = (name: string, value: string): string => nameOf(name) + literal(value);

const statuses = new Map(
  STATIC_TABLE.flatMap(([name, value], i) =>
    name === ':status' ? [[value, integer(i + 1, 127, 128)] as const] : [],
  ),
);

export const statusBlock = (status: string): string =>
  statuses.get(status) ?? fieldBlock(':status', status);
