import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ProxiedAddresses,
  proxyHeader,
  readProxyHeader,
} from '#adapters/dataplane-node/l4/proxy-protocol.ts';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const text = (line: string): Buffer => Buffer.from(line, 'latin1');
const v2 = (command: number, family: number, body: readonly number[], length = body.length) =>
  Buffer.concat([
    text(SIGNATURE),
    Buffer.from([command, family, length >> 8, length & 255, ...body]),
  ]);
const V4_BODY = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];
const V4 = {
  source: { address: '192.0.2.1', port: 12345 },
  destination: { address: '198.51.100.2', port: 443 },
};

describe('a PROXY header', () => {
  it.each([
    ['v1', text('PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n'), V4],
    [
      'v1 for IPv6',
      text('PROXY TCP6 2001:db8::1 ::1 1 65535\r\n'),
      {
        source: { address: '2001:db8::1', port: 1 },
        destination: { address: '::1', port: 65535 },
      },
    ],
    ['v1 of an unknown caller', text('PROXY UNKNOWN\r\n'), undefined],
    ['v1 of an unknown caller with more', text('PROXY UNKNOWN ffff:: ::1 1 2\r\n'), undefined],
    ['v2', v2(0x21, 0x11, V4_BODY), V4],
    ['v2 with TLVs', v2(0x21, 0x11, [...V4_BODY, 4, 0, 2, 7, 7, 0x20, 0, 0]), V4],
    ['v2 of the proxy itself', v2(0x20, 0x00, []), undefined],
    ['v2 of the proxy itself with TLVs', v2(0x20, 0x11, [...V4_BODY, 4, 0, 0]), undefined],
    ['v2 of a family that has no address', v2(0x21, 0x00, []), undefined],
  ])('%s says who the caller is', (_, bytes, value) => {
    const wire = Buffer.concat([bytes, text('GET / HTTP/1.1\r\n')]);
    expect(readProxyHeader(wire)).toEqual({ type: 'done', value, used: bytes.length });
    for (let end = 1; end < bytes.length; end++) {
      const reading = readProxyHeader(wire.subarray(0, end));
      if (reading.type !== 'more') throw new Error(`${reading.type} after ${end} bytes`);
      expect(reading.atLeast).toBeGreaterThan(end);
      expect(reading.atLeast).toBeLessThanOrEqual(bytes.length);
    }
  });

  it.each([
    ['no header at all', text('GET / HTTP/1.1\r\n\r\n')],
    ['lower case', text('proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n')],
    ['a line without end', text(`PROXY TCP4 ${'1'.repeat(110)}`)],
    ['a bare CR', text('PROXY TCP4 1.1.1.1\r2.2.2.2 1 2\r\n')],
    ['a bare LF', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n')],
    ['an unknown family', text('PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n')],
    ['IPv6 called IPv4', text('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['an address that is none', text('PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n')],
    ['a zone', text('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
    ['a port that is none', text('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n')],
    ['a port with zeros', text('PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n')],
    ['a missing port', text('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n')],
    ['one port too many', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n')],
    ['two spaces', text('PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n')],
    ['an unknown version', v2(0x31, 0x11, V4_BODY)],
    ['an unknown command', v2(0x22, 0x11, V4_BODY)],
    ['UDP', v2(0x21, 0x12, V4_BODY)],
    ['addresses that are too short', v2(0x21, 0x11, V4_BODY.slice(1))],
    ['IPv4 called IPv6', v2(0x21, 0x21, V4_BODY)],
    ['a TLV that is cut off', v2(0x21, 0x11, [...V4_BODY, 4, 0, 9, 1])],
    ['too much', v2(0x21, 0x11, [], 9000)],
  ])('with %s is refused', (_, bytes) => {
    expect(readProxyHeader(bytes).type).toBe('refused');
  });

  it('that we write is read as it was meant, in both versions', () => {
    const hop = fc.record({
      address: fc.oneof(fc.ipV4(), fc.ipV6()),
      port: fc.integer({ min: 0, max: 65_535 }),
    });
    fc.assert(
      fc.property(hop, hop, fc.constantFrom('v1' as const, 'v2' as const), (a, b, version) => {
        const reading = readProxyHeader(proxyHeader(version, { source: a, destination: b }));
        const value = (reading as unknown as { value: ProxiedAddresses }).value;
        expect(plain(value.source.address)).toBe(plain(a.address));
        expect(plain(value.destination.address)).toBe(plain(b.address));
        expect([value.source.port, value.destination.port]).toEqual([a.port, b.port]);
      }),
      { numRuns: 500 },
    );
  });

  it('says that nothing is known where there is no address', () => {
    const none = { source: { address: '', port: 0 }, destination: { address: '', port: 0 } };
    for (const version of ['v1', 'v2'] as const)
      expect(readProxyHeader(proxyHeader(version, none))).toMatchObject({
        type: 'done',
        value: undefined,
      });
  });
});

/** All groups of an IPv6 address; an IPv4 one inside is the same address. */
const plain = (address: string): string => {
  const url = new URL(`http://${address.includes(':') ? `[${address}]` : address}/`).hostname;
  const mapped = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(url);
  if (!mapped) return url;
  const [high = 0, low = 0] = mapped.slice(1).map((part) => Number.parseInt(part, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
};
