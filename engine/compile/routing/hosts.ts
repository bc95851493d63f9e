// Which hosts a listener and a Route have in common, and which of two host patterns is the wider one.
import type { HostEntry } from '../../model/snapshot.ts';
import { compareText } from '../findings.ts';

export type HostPattern = Pick<HostEntry, 'type' | 'host'>;

export const anyHost: HostPattern = { type: 'any', host: '' };

export const hostPattern = (
  text: string,
  wildcard: 'oneLabel' | 'manyLabels' = 'manyLabels',
): HostPattern => {
  const host = text.toLowerCase().replace(/\.$/, '');
  if (host === '*') return anyHost;
  return host.startsWith('*.') ? { type: wildcard, host: host.slice(2) } : { type: 'exact', host };
};

interface HostSpec {
  readonly hosts: readonly string[];
  readonly hostWildcard: 'oneLabel' | 'manyLabels';
}

/** Of a Route: every host when it names none. */
export const routeHosts = ({ hosts, hostWildcard }: HostSpec): readonly HostPattern[] =>
  hosts.length === 0 ? [anyHost] : hosts.map((host) => hostPattern(host, hostWildcard));

export const hostKey = ({ type, host }: HostPattern): string => `${type} ${host}`;

/** Every host of `inner` belongs to `outer` too. */
export const coversPattern = (outer: HostPattern, inner: HostPattern): boolean => {
  if (outer.type === 'any') return true;
  if (inner.type === 'any') return false;
  const isBelow = inner.host.endsWith(`.${outer.host}`);
  switch (outer.type) {
    case 'exact':
      return inner.type === 'exact' && inner.host === outer.host;
    case 'oneLabel':
      if (inner.type === 'oneLabel') return inner.host === outer.host;
      return inner.type === 'exact' && isBelow && !labelsBefore(inner, outer).includes('.');
    case 'manyLabels':
      return isBelow || (inner.type !== 'exact' && inner.host === outer.host);
    default:
      return outer.type satisfies never;
  }
};

const labelsBefore = (inner: HostPattern, outer: HostPattern): string =>
  inner.host.slice(0, -outer.host.length - 1);

/** Two patterns are apart, or one covers the other. */
export const intersection = (a: HostPattern, b: HostPattern): HostPattern | undefined => {
  if (coversPattern(a, b)) return b;
  return coversPattern(b, a) ? a : undefined;
};

const typeOrder = { exact: 0, oneLabel: 1, manyLabels: 1, any: 2 } as const;

/** Most specific first: whole names, then the longest wildcard. */
export const comparePatterns = (a: HostPattern, b: HostPattern): number =>
  typeOrder[a.type] - typeOrder[b.type] ||
  b.host.length - a.host.length ||
  compareText(a.host, b.host) ||
  Number(a.type === 'manyLabels') - Number(b.type === 'manyLabels');
