// Message heads serialised anew: what was parsed is what is sent, and nothing else can get through.
import { hashName, safeValue } from './ascii.ts';
import { Kind } from './field-names.ts';
import type { FieldSection } from './field-section.ts';

/** Names taken out of a message on its way, with their hashes beside them. */
export interface Drops {
  readonly names: readonly string[];
  readonly hashes: readonly number[];
}

export const noDrops: Drops = { names: [], hashes: [] };

/** `edits` is name, value, name, value, ... */
export const dropsOf = (
  edits: readonly string[],
  removed: readonly string[],
  nominated: readonly string[] | undefined,
): Drops => {
  if (edits.length === 0 && removed.length === 0 && nominated === undefined) return noDrops;
  const names: string[] = [];
  for (let i = 0; i < edits.length; i += 2) names.push((edits[i] as string).toLowerCase());
  names.push(...removed);
  if (nominated) names.push(...nominated);
  return { names, hashes: names.map(hashName) };
};

const isDropped = (fields: FieldSection, index: number, drops: Drops): boolean => {
  const { hashes } = drops;
  for (let i = 0; i < hashes.length; i++)
    if (fields.isNamed(index, drops.names[i] as string, hashes[i] as number)) return true;
  return false;
};

/**
 * The fields whose kind `keeps` allows and `drops` does not name. Neighbours that were received in canonical form are taken over
 * in one piece: their bytes are the ones that serialising would give.
 */
export const keptFields = (fields: FieldSection, keeps: Uint8Array, drops: Drops): string => {
  let kept = '';
  let runStart = -1;
  const { count } = fields;
  const looks = drops.hashes.length > 0;
  for (let i = 0; i < count; i++) {
    const keep = keeps[fields.kind(i)] === 1 && !(looks && isDropped(fields, i, drops));
    if (keep && fields.isCanonical(i)) {
      if (runStart < 0) runStart = i;
      continue;
    }
    if (runStart >= 0) {
      kept += fields.run(runStart, i);
      runStart = -1;
    }
    if (keep) kept += fields.line(i);
  }
  return runStart < 0 ? kept : kept + fields.run(runStart, count);
};

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Policy cannot change how messages are framed or connections kept. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const writable = new Map<string, boolean>();

const isWritable = (name: string): boolean => {
  let known = writable.get(name);
  if (known === undefined) {
    known = FIELD_NAME.test(name) && !FRAMING.has(name.toLowerCase());
    if (writable.size < 4096) writable.set(name, known);
  }
  return known;
};

/** Field lines of name, value, name, value, ...; names that policy may not write are left out. */
export const editLines = (edits: readonly string[]): string => {
  let lines = '';
  for (let i = 0; i < edits.length; i += 2) {
    const name = edits[i] as string;
    if (isWritable(name)) lines += `${name}: ${safeValue(edits[i + 1] as string)}\r\n`;
  }
  return lines;
};

const keeping = (...dropped: readonly number[]): Uint8Array => {
  const table = new Uint8Array(32).fill(1);
  for (const kind of dropped) table[kind] = 0;
  return table;
};

const hopByHop = [
  Kind.Struck,
  Kind.KeepAlive,
  Kind.Connection,
  Kind.TransferEncoding,
  Kind.ContentLength,
  Kind.Upgrade,
  Kind.Te,
  Kind.HopByHop,
] as const;

/** Towards the upstream: the proxy writes Host, framing and where the request came from by itself. */
export const requestKeeps = keeping(
  ...hopByHop,
  Kind.Expect,
  Kind.Host,
  Kind.RequestId,
  Kind.ForwardedFor,
  Kind.Forwarded,
);
/** As `requestKeeps`, from a peer whose X-Forwarded-Proto, -Host and the like are believed. */
export const trustedRequestKeeps = keeping(
  ...hopByHop,
  Kind.Expect,
  Kind.Host,
  Kind.RequestId,
  Kind.ForwardedFor,
);
export const responseKeeps = keeping(...hopByHop);

/** A request target from policy as it may stand in a request line. */
export const safeTarget = (target: string): string =>
  /[^\x21-\x7e]/.test(target) ? encodeURI(target).replaceAll('%25', '%') : target;
