import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readClientHello } from '#adapters/dataplane-node/l4/client-hello.ts';
import {
  extension,
  inRecords,
  madeHello,
  messageOf,
  nameEntry,
  realHello,
  serverName,
} from './hello.ts';

let real: Buffer;
beforeAll(async () => {
  real = await realHello({ servername: 'API.Bibby.com', ALPNProtocols: ['h2', 'http/1.1'] });
});

/** As a connection does: asks again only when there is as much as was asked for. */
const readInPieces = (wire: Buffer, ends: readonly number[]) => {
  let wanted = 1;
  for (const end of [...ends, wire.length]) {
    if (end < wanted) continue;
    const reading = readClientHello(wire.subarray(0, end));
    if (reading.type !== 'more') return reading;
    wanted = reading.atLeast;
    if (wanted <= end) throw new Error('asks for what it has');
  }
  return undefined;
};

describe('the server name', () => {
  it('is read from what a real client sends, and nothing is used up', () => {
    expect(readClientHello(real)).toEqual({
      type: 'done',
      value: { serverName: 'api.bibby.com' },
      used: 0,
    });
  });

  it('is absent where the client names none', async () => {
    for (const hello of [
      await realHello({ maxVersion: 'TLSv1.2' }),
      inRecords(madeHello([extension(10, Buffer.alloc(2))]), []),
    ])
      expect(readClientHello(hello)).toMatchObject({ value: { serverName: undefined } });
  });

  it('is the same however the message is cut into records and segments', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 8 }),
        fc.array(fc.nat(2500), { maxLength: 20 }),
        (records, cuts) => {
          const wire = inRecords(messageOf(real), records);
          const ends = cuts.filter((cut) => cut < wire.length).sort((a, b) => a - b);
          expect(readInPieces(wire, ends)).toEqual({
            type: 'done',
            value: { serverName: 'api.bibby.com' },
            used: 0,
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is never told before the message is whole', () => {
    for (let end = 1; end < real.length; end++)
      expect(readClientHello(real.subarray(0, end)).type).toBe('more');
  });
});

describe('a hello that two readers could understand in two ways is refused:', () => {
  const name = serverName(nameEntry('a.b'));
  const good = madeHello([name]);
  const changed = (at: number, byte: number): Buffer => {
    const message = Buffer.from(good);
    message[at] = byte;
    return inRecords(message, []);
  };
  it.each([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['an alert', Buffer.from([21, 3, 1, 0, 2, 1, 0])],
    ['SSL 2', Buffer.from([0x80, 0x2e, 1, 0, 2])],
    ['SSL 3 records', Buffer.from([22, 3, 0, 0, 4])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record that is too large', Buffer.from([22, 3, 1, 0x40, 1])],
    ['another message', inRecords(Buffer.from([2, 0, 0, 1, 0]), [])],
    ['a message that is too large', inRecords(Buffer.from([1, 1, 0, 0]), [])],
    ['bytes after the message', inRecords(Buffer.concat([good, Buffer.from([0])]), [])],
    [
      'an alert between its records',
      Buffer.concat([inRecords(good, [50]).subarray(0, 55), Buffer.from([21])]),
    ],
    ['an unknown version', changed(4, 9)],
    ['a session id that is too long', changed(38, 33)],
    ['no cipher', changed(72, 0)],
    ['extensions that end early', changed(77, 200)],
    [
      'two server names',
      inRecords(madeHello([serverName(nameEntry('a.b'), nameEntry('c.d'))]), []),
    ],
    ['the extension twice', inRecords(madeHello([name, name]), [])],
    ['a name of an unknown type', inRecords(madeHello([serverName(nameEntry('a.b', 1))]), [])],
    ['an empty name', inRecords(madeHello([serverName(nameEntry(''))]), [])],
    ['an empty list', inRecords(madeHello([serverName()]), [])],
    ['a name with a NUL', inRecords(madeHello([serverName(nameEntry('a.b\0.c'))]), [])],
    ['a dot at the end', inRecords(madeHello([serverName(nameEntry('a.b.'))]), [])],
    ['an address', inRecords(madeHello([serverName(nameEntry('10.0.0.1'))]), [])],
  ])('%s', (_, wire) => {
    expect(readClientHello(wire).type).toBe('refused');
  });

  it('any damage is refused, waited for, or harmless, but never throws', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(2500),
        (damage, length) => {
          const wire = Buffer.from(real.subarray(0, Math.max(1, length)));
          for (const [at, byte] of damage) if (at < wire.length) wire[at] = byte;
          const reading = readClientHello(wire);
          if (reading.type === 'more') expect(reading.atLeast).toBeGreaterThan(wire.length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
