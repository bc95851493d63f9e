// Names are judged by what they resolve to, at the moment of connecting: a name that was harmless a moment ago may not be.
import { lookup } from 'node:dns';

type Found = (error: Error | null, addresses?: unknown, family?: number) => void;

export const guardedLookup = (isAllowed: (address: string) => boolean): typeof lookup =>
  ((hostname: string, options: { readonly all?: boolean }, found: Found) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return found(error);
      const allowed = addresses.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (!first) return found(new Error(`${hostname} resolves to a refused address`));
      if (options.all) return found(null, allowed);
      return found(null, first.address, first.family);
    });
  }) as never;
