// Addresses that nothing is asked of: link-local ones are where clouds keep their metadata services.
import { BlockList, isIP } from 'node:net';

const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4');
refused.addSubnet('0.0.0.0', 8, 'ipv4');
refused.addSubnet('224.0.0.0', 3, 'ipv4'); // multicast and reserved
refused.addAddress('100.100.100.200', 'ipv4'); // a metadata service outside the link-local range
refused.addSubnet('fe80::', 10, 'ipv6');
refused.addSubnet('ff00::', 8, 'ipv6');
refused.addAddress('::', 'ipv6');
refused.addAddress('fd00:ec2::254', 'ipv6');

/** True for what is not an address at all, too. BlockList sees through IPv4-mapped IPv6 addresses. */
export const isRefusedAddress = (address: string): boolean => {
  const family = isIP(address);
  return family === 0 || refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
};
