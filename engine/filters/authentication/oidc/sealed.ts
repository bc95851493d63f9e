// What a browser keeps for us without being able to read or change it (JWE, direct A256GCM). Each purpose has a key of its
// own, so that no cookie can stand in for another, and one client's cookies are nothing to another client.
import { base64url, CompactEncrypt, compactDecrypt } from 'jose';

export type Purpose = 'login' | 'session';
type Hash = (text: string) => string;

export interface Seal {
  seal(purpose: Purpose, content: object): Promise<string>;
  /** Undefined for whatever was not sealed here for this purpose. */
  open(purpose: Purpose, sealed: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}

export const createSeal = (secret: string, owner: string, hash: Hash): Seal => {
  const keyFor = (purpose: Purpose): Uint8Array =>
    bytesOf(hash(JSON.stringify(['weir cookie', purpose, owner, secret])));
  const keys = { login: keyFor('login'), session: keyFor('session') };
  return {
    seal: (purpose, content) =>
      new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .encrypt(keys[purpose]),
    async open(purpose, sealed) {
      try {
        const { plaintext } = await compactDecrypt(sealed, keys[purpose], {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        });
        const content: unknown = JSON.parse(new TextDecoder().decode(plaintext));
        return typeof content === 'object' && content !== null && !Array.isArray(content)
          ? (content as Readonly<Record<string, unknown>>)
          : undefined;
      } catch {
        return undefined;
      }
    },
  };
};

/** Of lower-case hexadecimal digits. */
const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** RFC 7636: what the issuer is shown first, so that the code is worth nothing without the verifier. */
export const challengeOf = (verifier: string, hash: Hash): string =>
  base64url.encode(bytesOf(hash(verifier)));
