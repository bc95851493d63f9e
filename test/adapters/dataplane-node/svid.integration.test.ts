// Certificates that OpenSSL would accept, and which of them are an identity.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spiffeId } from '#adapters/dataplane-node/tls/svid.ts';

let folder = '';
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-svid-'));
  execFileSync('openssl', [
    'ecparam',
    '-genkey',
    '-name',
    'prime256v1',
    '-noout',
    '-out',
    join(folder, 'key'),
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** DER of a self-signed certificate with exactly these extensions. */
const certificate = (...extensions: string[]): Buffer => {
  const name = `c${count++}`;
  writeFileSync(
    join(folder, `${name}.cnf`),
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=x\n[ext]\n${extensions.join('\n')}\n`,
  );
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-new',
      '-key',
      'key',
      '-days',
      '2',
      '-config',
      `${name}.cnf`,
      '-out',
      `${name}.crt`,
    ],
    { cwd: folder, stdio: 'ignore' },
  );
  return new X509Certificate(readFileSync(join(folder, `${name}.crt`))).raw;
};

const ID = 'spiffe://bibby.example/ns/default/sa/reader';
const san = `subjectAltName=URI:${ID}`;
const usage = 'keyUsage=critical,digitalSignature';
const leaf = 'basicConstraints=critical,CA:FALSE';

describe('an X.509-SVID', () => {
  it('is a leaf that may sign, with one SPIFFE name', () => {
    expect(spiffeId(certificate(san, usage, leaf))).toBe(ID);
    expect(spiffeId(certificate(san, usage))).toBe(ID);
    expect(
      spiffeId(
        certificate(
          `${san},DNS:reader.bibby`,
          usage,
          leaf,
          'extendedKeyUsage=serverAuth,clientAuth',
        ),
      ),
    ).toBe(ID);
  });

  it.each<[string, string[]]>([
    ['an authority', [san, usage, 'basicConstraints=critical,CA:TRUE']],
    ['a signer of certificates', [san, 'keyUsage=critical,digitalSignature,keyCertSign', leaf]],
    ['a signer of revocations', [san, 'keyUsage=critical,digitalSignature,cRLSign', leaf]],
    ['without key usage', [san, leaf]],
    ['with a key usage that is not critical', [san, 'keyUsage=digitalSignature', leaf]],
    ['not for signatures', [san, 'keyUsage=critical,keyEncipherment', leaf]],
    ['for servers only', [san, usage, leaf, 'extendedKeyUsage=serverAuth']],
    ['with two names', [`${san},URI:spiffe://bibby.example/other`, usage, leaf]],
    ['without a name', [usage, leaf]],
    ['with a DNS name that looks like one', ['subjectAltName=DNS:spiffe.bibby', usage, leaf]],
    ['of another scheme', ['subjectAltName=URI:https://bibby.example/a', usage, leaf]],
    ['without a path', ['subjectAltName=URI:spiffe://bibby.example', usage, leaf]],
    ['with a dot segment', ['subjectAltName=URI:spiffe://bibby.example/a/../b', usage, leaf]],
    ['with a query', ['subjectAltName=URI:spiffe://bibby.example/a?b', usage, leaf]],
  ])('is none when it is %s', (_, extensions) => {
    expect(spiffeId(certificate(...extensions))).toBeUndefined();
  });

  it('broken in any way is none, and breaks nothing', () => {
    const good = certificate(san, usage, leaf);
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(good.length),
        (at, value, end) => {
          const bad = Buffer.from(good);
          bad[at] = value;
          expect(() => spiffeId(bad.subarray(0, end))).not.toThrow();
        },
      ),
      { numRuns: 3000 },
    );
  });
});
