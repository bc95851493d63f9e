import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCompact } from '#engine/filters/authentication/compact-token.ts';
import { hasUniqueMembers } from '#engine/filters/authentication/unique-members.ts';
import { answered, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import { encodePart, issuerPlan, jwtAuthentication, keyPair, sign } from '#test/support/tokens.ts';

describe('the reading of a compact token', () => {
  it('never throws, whatever it is given', () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map(encodePart),
      fc.string({ unit: 'binary' }).map(encodePart),
      fc.constantFrom(
        '',
        'e30',
        'bnVsbA',
        encodePart({ alg: 'ES256' }),
        encodePart('{"alg":1e999}'),
      ),
    );
    const token = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
    );
    fc.assert(
      fc.property(token, (text) => {
        const read = readCompact(text);
        if (typeof read !== 'string') expect(typeof read.alg).toBe('string');
      }),
      { numRuns: 5000 },
    );
  });

  it('takes no token that differs from a signed one in a single character', async () => {
    const key = await keyPair('EdDSA');
    const token = await sign(key);
    const request = serve({
      rules: [rule({ authentications: ['a'] })],
      authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
    });
    const character = fc.constantFrom(...Array.from('ABCabc019-_.=+/ %\n\0é'));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(token.length),
        character,
        fc.boolean(),
        async (at, other, isInsert) => {
          const mutated = token.slice(0, at) + other + token.slice(isInsert ? at : at + 1);
          if (mutated === token) return;
          const headers = { authorization: `Bearer ${mutated}` };
          expect(answered(await request({ headers })).status).toBe(401);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('members with one name', () => {
  it('are found at any depth, and only they', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, name) => {
        expect(hasUniqueMembers(JSON.stringify(value))).toBe(true);
        const key = JSON.stringify(name);
        const twice = `{${key}:${JSON.stringify(value)},"other ${name.length}":[{}],${key}:1}`;
        expect(hasUniqueMembers(twice)).toBe(false);
        expect(hasUniqueMembers(`[[${twice}]]`)).toBe(false);
        expect(hasUniqueMembers(`[{${key}:1},{${key}:1},{"b":{${key}:2}}]`)).toBe(true);
      }),
    );
  });
});
