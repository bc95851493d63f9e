// Field names that the proxy itself understands. Every other name is opaque to it.
import { hashName } from './ascii.ts';

export const Kind = {
  Other: 0,
  Host: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Connection: 4,
  Upgrade: 5,
  Expect: 6,
  Te: 7,
  /** Always dropped: meant for one hop, or dangerous (`Proxy`). */
  HopByHop: 8,
  /** At most one, else the request is ambiguous. */
  Authorization: 9,
  ForwardedFor: 10,
  /** Replaced by the proxy unless the peer is trusted. */
  Forwarded: 11,
  RequestId: 12,
  /** Kept as it is; nobody may nominate it or write it with `_` or `.`. */
  Protected: 13,
  SetCookie: 14,
  Date: 15,
  KeepAlive: 17,
  /** Taken out by the proxy. */
  Struck: 16,
} as const;

const names: Readonly<Record<string, number>> = {
  host: Kind.Host,
  'content-length': Kind.ContentLength,
  'transfer-encoding': Kind.TransferEncoding,
  connection: Kind.Connection,
  upgrade: Kind.Upgrade,
  expect: Kind.Expect,
  te: Kind.Te,
  trailer: Kind.HopByHop,
  'keep-alive': Kind.KeepAlive,
  'proxy-connection': Kind.HopByHop,
  'proxy-authenticate': Kind.HopByHop,
  'proxy-authorization': Kind.HopByHop,
  'http2-settings': Kind.HopByHop,
  proxy: Kind.HopByHop,
  authorization: Kind.Authorization,
  'x-forwarded-for': Kind.ForwardedFor,
  'x-forwarded-proto': Kind.Forwarded,
  'x-forwarded-host': Kind.Forwarded,
  'x-forwarded-port': Kind.Forwarded,
  'x-forwarded-prefix': Kind.Forwarded,
  'x-real-ip': Kind.Forwarded,
  forwarded: Kind.Forwarded,
  'x-request-id': Kind.RequestId,
  cookie: Kind.Protected,
  'content-type': Kind.Protected,
  'content-encoding': Kind.Protected,
  'set-cookie': Kind.SetCookie,
  date: Kind.Date,
};

interface Known {
  readonly name: string;
  readonly hash: number;
  readonly kind: number;
}

const SLOTS = 4096;
/** Open table by the low bits of the hash; the list of names is checked to have no collision. */
export const knownNames: readonly (Known | undefined)[] = (() => {
  const table = Array.from<Known | undefined>({ length: SLOTS }).fill(undefined);
  for (const [name, kind] of Object.entries(names)) {
    const hash = hashName(name);
    const slot = hash & (SLOTS - 1);
    if (table[slot]) throw new Error(`field names ${name} and ${table[slot].name} share a slot`);
    table[slot] = { name, hash, kind };
  }
  return table;
})();

export const knownName = (hash: number): Known | undefined => {
  const known = knownNames[hash & (SLOTS - 1)];
  return known !== undefined && known.hash === hash ? known : undefined;
};

/** Whether Connection may not nominate the field: it decides framing, routing or identity. */
export const isProtectedName = (name: string): boolean => {
  const known = knownName(hashName(name));
  if (known === undefined) return false;
  return known.kind !== Kind.HopByHop && known.kind !== Kind.KeepAlive;
};
