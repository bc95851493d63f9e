// Addresses that nothing is asked of: link-local ones and a few others are where clouds keep their metadata services.
import { BlockList, isIP } from 'node:net';

const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4');
refused.addSubnet('0.0.0.0', 8, 'ipv4');
refused.addSubnet('224.0.0.0', 3, 'ipv4'); // multicast and reserved
for (const metadata of ['100.100.100.200', '168.63.129.16', '192.0.0.192'])
  refused.addAddress(metadata, 'ipv4');
refused.addSubnet('fe80::', 10, 'ipv6');
refused.addSubnet('fec0::', 10, 'ipv6');
refused.addSubnet('ff00::', 8, 'ipv6');
refused.addAddress('::', 'ipv6');
for (const metadata of ['fd00:ec2::254', 'fd20:ce::254']) refused.addAddress(metadata, 'ipv6');
// Ways to write an IPv4 address in an IPv6 one that lead there: compatible, translated (NAT64), 6to4.
refused.addSubnet('::a9fe:0', 112, 'ipv6');
refused.addSubnet('::ffff:0:a9fe:0', 112, 'ipv6');
refused.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
refused.addSubnet('64:ff9b:1::', 48, 'ipv6');
refused.addSubnet('2002:a9fe::', 32, 'ipv6');

/** True for what is not an address at all, too. BlockList sees through IPv4-mapped IPv6 addresses. */
export const isRefusedAddress = (address: string): boolean => {
  const family = isIP(address);
  return family === 0 || refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
};
