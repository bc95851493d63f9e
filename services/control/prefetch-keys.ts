// A policy that names new keys is not in force before they are there: nobody is to be refused because an address changed.
import { keyAddressesIn } from '#engine/compile/compile.ts';
import type { Source } from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import type { KeyAddress } from '#engine/ports/keys.ts';
import type { KeyMemory } from './key-memory.ts';
import type { Time } from './time.ts';

/** So long a policy waits for issuers that do not answer. */
const WAIT_MS = 3000;

export const prefetchKeys = async (
  keys: KeyMemory,
  sources: ReadonlyMap<ResourceId, Source>,
  { followed, time }: { readonly followed: readonly KeyAddress[]; readonly time: Time },
): Promise<void> => {
  const wanted = keyAddressesIn(sources);
  if (wanted.every((address) => keys.current(address) !== undefined)) return;
  const stop = new AbortController();
  // What is in force still is followed, too.
  const tried = keys.follow([...followed, ...wanted]);
  await Promise.race([tried, time.sleep(WAIT_MS, stop.signal)]);
  stop.abort();
};
