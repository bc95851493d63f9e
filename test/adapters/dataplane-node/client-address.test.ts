import { describe, expect, it } from 'vitest';
import {
  clientOf,
  plainAddress,
  trustedProxies,
} from '#adapters/dataplane-node/downstream/client-address.ts';

const proxies = trustedProxies(['10.0.0.0/8', '192.168.1.1', 'fd00::/8']);

describe('the client', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['10.9.9.9, 10.1.2.3', '10.9.9.9'],
    ['203.0.113.7:4711, 10.1.2.3', '203.0.113.7'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['2001:db8::1, fd00::2', '2001:db8::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, nonsense, 10.1.2.3', '10.1.2.3'],
    ['unknown', '10.0.0.1'],
    ['', '10.0.0.1'],
    ['fe80::1%eth0', '10.0.0.1'],
    ['203.0.113.7, , 10.1.2.3', '10.1.2.3'],
  ])('of X-Forwarded-For %j behind a trusted peer is %s', (chain, client) => {
    expect(clientOf('10.0.0.1', chain, proxies)).toBe(client);
  });

  it('is never looked for beyond a peer that nobody trusts', () => {
    expect(proxies.trusts('203.0.113.7')).toBe(false);
    expect(proxies.trusts('')).toBe(false);
    expect(trustedProxies([]).trusts('10.0.0.1')).toBe(false);
    expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
  });
});
