import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Broker } from '#engine/ports/bus.ts';
import { Outbox } from '#services/agent/outbox.ts';
import { decodeJson } from '#services/control/codec.ts';

const sent = (value: unknown): Uint8Array => {
  const messages: Uint8Array[] = [];
  const outbox = new Outbox(() => {});
  outbox.use({
    connected: true,
    bus: { publish: (_: string, data: Uint8Array) => void messages.push(data) },
  } as unknown as Broker);
  outbox.send('sample', 'weir.default.sample.edge.public.edge-1', value);
  return messages[0] ?? new Uint8Array();
};

describe('what an agent says', () => {
  it('is plain while it is small, and compressed when it is large', () => {
    const small = { series: ['a'] };
    const large = { series: Array.from({ length: 2000 }, (_, at) => `series ${at % 7}`) };
    expect(new TextDecoder().decode(sent(small))).toBe(JSON.stringify(small));
    expect(sent(large).byteLength).toBeLessThan(JSON.stringify(large).length / 10);
    expect(decodeJson(sent(large), 'sample')).toEqual(large);
    expect(decodeJson(sent(small), 'sample')).toEqual(small);
  });

  it('does not blow up the reader', () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024, 0x20));
    expect(() => decodeJson(bomb, 'sample')).toThrow('sample is not JSON');
    expect(() => decodeJson(Uint8Array.of(0x1f, 0x8b, 1), 'sample')).toThrow('not JSON');
  });
});
