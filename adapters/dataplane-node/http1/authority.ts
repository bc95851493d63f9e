// The Host of a request: one strict reading, so that routing, authorization and the upstream see the same name.

/** reg-name without percent-encoding, or a bracketed IPv6 address, and a port. */
const AUTHORITY =
  /^(?:([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_.-])?)|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/;

const MAX_CACHED = 1024;
const hosts = new Map<string, string>();

/** Lower case, without port and trailing dot; undefined for anything but a plain authority. */
export const hostOf = (authority: string): string | undefined => {
  const known = hosts.get(authority);
  if (known !== undefined) return known;
  const match = AUTHORITY.exec(authority);
  if (!match || authority.length > 261) return undefined;
  if (match[2] !== undefined && Number(match[2]) > 65_535) return undefined;
  const port = match[2] === undefined ? 0 : match[2].length + 1;
  let host = authority.slice(0, authority.length - port).toLowerCase();
  if (host.includes('..')) return undefined;
  if (host.endsWith('.')) host = host.slice(0, -1);
  // Callers choose this text, so the cache is started over instead of growing.
  if (hosts.size >= MAX_CACHED) hosts.clear();
  hosts.set(authority, host);
  return host;
};
