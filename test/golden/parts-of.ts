// The parts of all snapshots that come from one policy file.
import type { Origin, Snapshot } from '#engine/model/snapshot.ts';
import type { Outcome } from './surroundings.ts';

export const partsOf = (file: string, outcome: Outcome): Record<string, unknown> => {
  const ids = new Set<string>(
    outcome.documents.filter(({ source }) => source.file === file).map(({ id }) => id),
  );
  const parts: Record<string, unknown> = {};
  for (const [scope, snapshot] of outcome.compiled.snapshots) {
    const found = partsOfScope(snapshot, ids);
    const gateway = [...ids].some((id) => id.startsWith('Gateway/') && scope === edgeOf(id));
    if (gateway) Object.assign(found, { listeners: snapshot.listeners, hosts: hostsOf(snapshot) });
    if (Object.keys(found).length > 0) parts[scope] = found;
  }
  const rollouts = outcome.compiled.rollouts.filter(({ id }) => ids.has(`Rollout/${id}`));
  if (rollouts.length > 0) parts['rollouts'] = rollouts;
  return parts;
};

const edgeOf = (id: string): string => `edge.${id.split('/')[2]}`;

const hostsOf = ({ hosts, rules }: Snapshot) =>
  hosts.map((entry) => ({ ...entry, rules: entry.rules.map((index) => rules[index]?.id) }));

const partsOfScope = (snapshot: Snapshot, ids: ReadonlySet<string>): Record<string, unknown> => {
  const isMine = ({ origin }: { readonly origin: Origin }) => ids.has(origin.resource);
  const isMyService = ({ service }: { readonly service: string }) => ids.has(`Service/${service}`);
  const parts = {
    rules: snapshot.rules.filter(isMine),
    splits: pick(snapshot.splits, isMyService),
    upstreams: pick(snapshot.upstreams, isMyService),
    authentications: pick(snapshot.authentications, isMine),
    authorizations: pick(snapshot.authorizations, isMine),
    quotas: pick(snapshot.quotas, isMine),
  };
  return Object.fromEntries(
    Object.entries(parts).filter(([, part]) => Object.keys(part).length > 0),
  );
};

const pick = <T>(record: Readonly<Record<string, T>>, wanted: (part: T) => boolean) =>
  Object.fromEntries(Object.entries(record).filter(([, part]) => wanted(part)));
