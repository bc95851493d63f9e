import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPolicyFiles } from '#adapters/files-local/policy-files.ts';
import { readTokens } from '#services/control/access.ts';
import { followFile, parseSettings, readJsonFile } from '#services/control/config.ts';

let home: string;
const put = (name: string, text: string): string => {
  const file = join(home, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  return file;
};
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'weir-config-'));
});
afterEach(() => rmSync(home, { recursive: true }));

describe('settings', () => {
  it('come from the installation where nothing else is said', () => {
    put('nats/url', 'nats://127.0.0.1:4333\n');
    expect(parseSettings({ WEIR_HOME: home, WEIR_INSTANCE: '' })).toMatchObject({
      natsUrl: 'nats://127.0.0.1:4333',
      mesh: 'default',
      host: '127.0.0.1',
      port: 7400,
      tokensFile: join(home, 'tokens.json'),
    });
  });

  it.each([
    [{}, /WEIR_NATS_URL/],
    [{ WEIR_NATS_URL: 'nats://x', WEIR_MESH: 'a.b' }, /WEIR_MESH may have letters/],
    [{ WEIR_NATS_URL: 'nats://x', WEIR_INSTANCE: 'a b' }, /WEIR_INSTANCE/],
    [{ WEIR_NATS_URL: 'nats://x', WEIR_ADMIN_ADDRESS: '7400' }, /WEIR_ADMIN_ADDRESS must be/],
    [{ WEIR_NATS_URL: 'nats://x', WEIR_ADMIN_ADDRESS: 'a:99999' }, /WEIR_ADMIN_ADDRESS must be/],
  ])('%j are refused in one sentence', (env, words) => {
    expect(() => parseSettings({ WEIR_HOME: home, ...env })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringMatching(words),
      }),
    );
  });

  it('say which file cannot be used', () => {
    const file = put('key.json', '{');
    expect(() => readJsonFile(file, 'Signing key (WEIR_SIGNING_KEY)', (value) => value)).toThrow(
      /^Signing key \(WEIR_SIGNING_KEY\): .*key\.json cannot be used/,
    );
  });
});

describe('the token file', () => {
  it('is read again when it changes, and kept while it is bad', () => {
    const write = (text: string, seconds: number) =>
      utimesSync(put('tokens.json', text), seconds, seconds);
    const tokens = (token: string) =>
      JSON.stringify({ tokens: [{ name: 'a', role: 'admin', token }] });
    write(tokens('0123456789abcdef'), 1);
    const current = followFile(join(home, 'tokens.json'), readTokens);
    expect(current()[0]?.token).toBe('0123456789abcdef');
    write('{', 2);
    expect(current()[0]?.token).toBe('0123456789abcdef');
    write(tokens('fedcba9876543210'), 3);
    expect(current()[0]?.token).toBe('fedcba9876543210');
  });

  it.each(['[]', '{"tokens":[{"name":"a","role":"root","token":"0123456789abcdef"}]}'])(
    '%s is refused',
    (text) => {
      expect(() => readTokens(put('tokens.json', text))).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      );
    },
  );
});

describe('files that policies name', () => {
  it('are public keys, what lies in "files", and further folders', () => {
    const other = mkdtempSync(join(tmpdir(), 'weir-files-'));
    writeFileSync(join(other, 'cert.pem'), 'certificate');
    put('keys/issuer.jwks.json', 'keys');
    put('files/secret.txt', 'secret');
    const read = createPolicyFiles({ home, folders: [other] });
    expect(read('keys/issuer.jwks.json')).toBe('keys');
    expect(read('files/secret.txt')).toBe('secret');
    expect(read(join(other, 'cert.pem'))).toBe('certificate');
    rmSync(other, { recursive: true });
  });

  it('are never the secrets of the installation, by whatever path', () => {
    put('keys/control.jwk.json', 'private');
    put('tokens.json', 'tokens');
    put('files/x', '');
    symlinkSync(join(home, 'tokens.json'), join(home, 'files', 'link'));
    const read = createPolicyFiles({ home, folders: [] });
    for (const path of [
      'keys/control.jwk.json',
      'tokens.json',
      'files/../tokens.json',
      'files/link',
      join(home, 'tokens.json'),
      '/etc/passwd',
      '/proc/self/environ',
      'files',
      'files/nothing',
    ])
      expect(read(path)).toBeUndefined();
  });
});
