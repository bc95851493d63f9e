// Who the request comes from: the peer, or the rightmost hop that is no trusted proxy.
import net from 'node:net';

export interface TrustedProxies {
  trusts(address: string): boolean;
}

const NOBODY: TrustedProxies = { trusts: () => false };

/** CIDR blocks or addresses. Throws for anything else. */
export const trustedProxies = (blocks: readonly string[]): TrustedProxies => {
  if (blocks.length === 0) return NOBODY;
  const list = new net.BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const family = net.isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    trusts: (address) => {
      const version = net.isIP(address);
      return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
    },
  };
};

/** An IPv4 address inside IPv6 is the IPv4 address. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;

/** Address of one hop of X-Forwarded-For; undefined for what is none. */
const hopAddress = (hop: string): string | undefined => {
  let text = hop.trim();
  if (text.startsWith('[')) text = text.slice(1, text.indexOf(']'));
  else if (text.includes('.') && text.includes(':') && net.isIP(text) === 0)
    text = text.slice(0, text.indexOf(':'));
  const address = plainAddress(text);
  return net.isIP(address) === 0 || address.includes('%') ? undefined : address;
};

/** `forwardedFor` is all values of the field joined; the peer itself is trusted already. */
export const clientOf = (peer: string, forwardedFor: string, proxies: TrustedProxies): string => {
  let client = peer;
  const hops = forwardedFor.split(',');
  for (let i = hops.length - 1; i >= 0; i--) {
    const address = hopAddress(hops[i] as string);
    if (address === undefined) return client;
    client = address;
    if (!proxies.trusts(address)) return client;
  }
  return client;
};
