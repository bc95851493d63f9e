// IP addresses and blocks as numbers. IPv4 in IPv6 (`::ffff:1.2.3.4`) is IPv4: one caller must not have two addresses.

/** IPv4: one number of 32 bits. IPv6: four of them. */
export type Address = readonly number[];

export const parseAddress = (text: string): Address | undefined => {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!bare.includes(':')) return parseV4(bare);
  const zone = bare.indexOf('%');
  const words = parseV6(zone === -1 ? bare : bare.slice(0, zone));
  if (words === undefined) return undefined;
  const isMapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return isMapped ? words.slice(3) : words;
};

const parseV4 = (text: string): Address | undefined => {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i <= text.length; i += 1) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (octet === -1) return undefined;
      value = value * 256 + octet;
      octet = -1;
      dots += 1;
    } else if (code >= 48 && code <= 57 && octet !== 0) {
      octet = (octet === -1 ? 0 : octet * 10) + code - 48;
      if (octet > 255) return undefined;
    } else return undefined;
  }
  return dots === 4 ? [value] : undefined;
};

const DOT = 46;

const parseV6 = (text: string): Address | undefined => {
  const dotted = text.includes('.') ? withHexTail(text) : text;
  if (dotted === undefined) return undefined;
  const halves = dotted.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map((i) => (all[i] ?? 0) * 65_536 + (all[i + 1] ?? 0));
};

const groups = (text: string): number[] | undefined => {
  if (text === '') return [];
  const numbers: number[] = [];
  for (const group of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    numbers.push(Number.parseInt(group, 16));
  }
  return numbers;
};

/** `::ffff:1.2.3.4` to `::ffff:102:304` */
const withHexTail = (text: string): string | undefined => {
  const colon = text.lastIndexOf(':');
  const v4 = parseV4(text.slice(colon + 1))?.[0];
  if (v4 === undefined) return undefined;
  return `${text.slice(0, colon + 1)}${Math.floor(v4 / 65_536).toString(16)}:${(v4 % 65_536).toString(16)}`;
};

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Undefined if it is neither. */
export const parseBlock = (text: string): ((address: Address) => boolean) | undefined => {
  const slash = text.indexOf('/');
  const base = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (base === undefined) return undefined;
  const bits = prefixLength(slash === -1 ? undefined : text.slice(slash + 1), base, text);
  if (bits === undefined) return undefined;
  return (address) => address.length === base.length && sharesBits(address, base, bits);
};

const prefixLength = (
  text: string | undefined,
  base: Address,
  block: string,
): number | undefined => {
  const size = base.length * 32;
  if (text === undefined) return size;
  if (!/^[0-9]{1,3}$/.test(text)) return undefined;
  // A block in IPv4-mapped form counts its bits from the front of the IPv6 address.
  const length = Number(text) - (size === 32 && block.includes(':') ? 96 : 0);
  return length >= 0 && length <= size ? length : undefined;
};

const sharesBits = (a: Address, b: Address, bits: number): boolean => {
  let left = bits;
  for (let i = 0; left > 0; i += 1) {
    const here = Math.min(left, 32);
    if (((a[i] ?? 0) ^ (b[i] ?? 0)) >>> (32 - here) !== 0) return false;
    left -= here;
  }
  return true;
};

/** Whom a limit per address counts as one: an IPv6 household has a whole /64. */
export const addressKey = (text: string): string =>
  text.includes(':') ? (parseAddress(text)?.slice(0, 2).join(':') ?? text) : text;
