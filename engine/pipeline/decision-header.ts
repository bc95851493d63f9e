// Tells callers who may know it which policy refused them.
import { parseAddress, parseBlock } from '../filters/addresses.ts';
import type { Listener } from '../model/snapshot.ts';
import type { Exchange } from './exchange.ts';

export type MaySeeDecisions = (exchange: Exchange) => boolean;

/** By listener; those that tell nobody are left out. */
export const decisionReaders = (
  listeners: readonly Listener[],
): ReadonlyMap<string, MaySeeDecisions> =>
  new Map(
    listeners.flatMap(({ name, decisionHeader: who }) =>
      who && who.ipBlocks.length + who.groups.length > 0 ? [[name, reader(who)]] : [],
    ),
  );

const reader = (who: NonNullable<Listener['decisionHeader']>): MaySeeDecisions => {
  const blocks = who.ipBlocks.flatMap((block) => parseBlock(block) ?? []);
  const groups = new Set(who.groups);
  return (exchange) => {
    if (exchange.groups.some((group) => groups.has(group))) return true;
    const address = parseAddress(exchange.request.clientAddress);
    return address !== undefined && blocks.some((covers) => covers(address));
  };
};

/** A dictionary of RFC 9651; undefined if no policy had a hand in the answer. */
export const decisionOf = (
  { notes }: Pick<Exchange, 'notes'>,
  revision: number,
): string | undefined => {
  const policy = notes?.['policy'];
  if (policy === undefined) return undefined;
  const rule = notes?.['rule'];
  return `policy=${quoted(policy)}${rule === undefined ? '' : `, rule=${rule}`}, revision=${revision}`;
};

const quoted = (text: string): string =>
  `"${text.replaceAll(/[^ -~]/g, '?').replaceAll(/["\\]/g, '\\$&')}"`;
