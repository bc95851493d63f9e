// Certificates that OpenSSL would accept, and which of them are an identity.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { peerNames } from '#adapters/dataplane-node/tls/peer-names.ts';
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
const certificate = (...extensions: string[]): Buffer => certificateOf('CN=x', ...extensions);

const certificateOf = (subject: string, ...extensions: string[]): Buffer => {
  const name = `c${count++}`;
  writeFileSync(
    join(folder, `${name}.cnf`),
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\nutf8=yes\nstring_mask=utf8only\n[dn]\n${subject}\n[ext]\n${extensions.join('\n')}\n`,
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

describe('the other names of a certificate', () => {
  const named = (san: string, ...more: string[]) =>
    peerNames(certificate(`subjectAltName=${san}`, ...more));

  it('are its DNS names, in order and in lower case, and no others', () => {
    expect(
      named('DNS:Reader.Bibby,URI:spiffe://a.b/c,DNS:b.test,email:x@y.z,IP:10.0.0.1')?.dns,
    ).toEqual(['reader.bibby', 'b.test']);
    expect(named('URI:spiffe://reader.bibby/a')?.dns).toEqual([]);
  });

  it.each(['DNS:*.bibby', 'DNS:good.test,DNS:a b', 'DNS:a..b', 'DNS:good.test,DNS:spiffe://a/b'])(
    'are none where one is odd: %s',
    (san) => {
      expect(named(san)?.dns).toEqual([]);
    },
  );

  it('with a NUL inside are none', () => {
    const der = certificate('subjectAltName=DNS:admin.bibbyXevil.test');
    der[der.indexOf('bibbyXevil') + 5] = 0;
    expect(peerNames(der)?.dns).toEqual([]);
  });

  it.each([
    ['CN=reader', 'CN=reader'],
    ['C=DE\nO=Bibby Ltd\nOU=Desk\nCN=reader', 'CN=reader,OU=Desk,O=Bibby Ltd,C=DE'],
    ['O=Bibby\nCN=admin\\,O\\=Other', 'CN=admin\\,O\\=Other,O=Bibby'],
    ['CN=Jörg \\"the\\" reader', 'CN=Jörg \\"the\\" reader'],
  ])('the subject %j reads %j', (written, subject) => {
    expect(peerNames(certificateOf(written, usage))?.subject).toBe(subject);
  });

  it('the subject with a control character inside is none', () => {
    const der = certificateOf('CN=adminXevil', usage);
    der[der.lastIndexOf('adminXevil') + 5] = 0;
    expect(peerNames(der)?.subject).toBeUndefined();
  });

  it('are nobody’s in a certificate that may sign others', () => {
    expect(named('DNS:a.test', 'basicConstraints=critical,CA:TRUE')).toBeUndefined();
  });

  it('in a broken certificate break nothing', () => {
    const good = certificate('subjectAltName=DNS:a.test', usage);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const bad = Buffer.from(good);
        bad[at] = value;
        expect(() => peerNames(bad)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});
