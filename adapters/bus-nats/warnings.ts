// What the server that was found cannot promise.
import type { ServerInfo } from '@nats-io/nats-core';

/** First release that neither loses streams when its process is killed nor lacks the fixes that Weir asks for. */
const CURRENT = [2, 10, 23] as const;
const OLDEST = [2, 9, 0] as const;

const isBefore = (version: string, wanted: readonly number[]): boolean => {
  const found = version.split(/[.-]/).map(Number);
  for (const [index, part] of wanted.entries()) {
    const have = found[index] ?? 0;
    if (have !== part) return have < part;
  }
  return false;
};

export const serverWarnings = (info: ServerInfo | undefined): readonly string[] => {
  if (!info) return [];
  const warnings: string[] = [];
  if (isBefore(info.version, OLDEST))
    warnings.push(`nats-server ${info.version} is older than 2.9, the oldest that Weir runs on.`);
  else if (isBefore(info.version, CURRENT))
    warnings.push(
      `nats-server ${info.version} is older than 2.10.23: it is fit for one node, writes to disk only every two minutes and lacks security fixes.`,
    );
  if (info.cluster && isBefore(info.version, CURRENT))
    warnings.push(
      `nats-server ${info.version} in a cluster: conditional writes to replicated buckets are broken in this release; use 2.10.23 or later.`,
    );
  if (info.jetstream !== true)
    warnings.push('JetStream is off in this nats-server: streams and buckets cannot be opened.');
  return warnings;
};
