import { expect, it } from 'vitest';
import { parsePasswordHash, passwordHashText } from '#engine/model/password-hash.ts';

const salt = 'c2FsdC1zYWx0LXNhbHQ';
const key = 'A'.repeat(43);

it('a hash says what it cost', () => {
  const hash = { cost: { N: 16_384, r: 8, p: 1 }, salt, key };
  const text = `scrypt:16384:8:1:${salt}:${key}`;
  expect(parsePasswordHash(text)).toEqual(hash);
  expect(passwordHashText(hash)).toBe(text);
});

it.each([
  ['another scheme', '$2b$10$abcdefghijklmnopqrstuv'],
  ['a plain password', 'open sesame'],
  ['no salt', `scrypt:16384:8:1::${key}`],
  ['a short key', `scrypt:16384:8:1:${salt}:AAAA`],
  ['N that is no power of two', `scrypt:10000:8:1:${salt}:${key}`],
  ['no N', `scrypt:0:8:1:${salt}:${key}`],
  ['too much memory', `scrypt:524288:8:1:${salt}:${key}`],
  ['too much time', `scrypt:16384:8:17:${salt}:${key}`],
  ['broken base64', `scrypt:16384:8:1:A:${key}`],
  ['other letters', `scrypt:16384:8:1:${salt}:${'+'.repeat(43)}`],
])('%s is none', (_, text) => {
  expect(parsePasswordHash(text)).toBe(undefined);
});
