// The compact form of a signed token, read more strictly than libraries do: no white space, no padding, no stray bits, one
// meaning per member. Nothing in here is believed before the signature is checked.
import { base64url } from 'jose';
import { hasUniqueMembers } from './unique-members.ts';

export interface CompactToken {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

const MAX_TOKEN_LENGTH = 16_384;
const MAX_KID_BYTES = 256;

/** A string says what is wrong with it. */
export const readCompact = (token: string): CompactToken | string => {
  if (token.length > MAX_TOKEN_LENGTH) return 'the token is too long';
  const parts = token.split('.');
  if (parts.length === 5) return 'encrypted tokens are not accepted';
  const [head, body, signature] = parts;
  if (parts.length !== 3 || !head || !body || !signature) return 'the token has not three parts';
  if (!isBase64url(head) || !isBase64url(body) || !isBase64url(signature))
    return 'the token is not base64url';
  const header = parseObject(head);
  const claims = parseObject(body);
  if (header === undefined || claims === undefined) return 'the token is not made of JSON objects';
  return readHeader(header, claims);
};

type Members = Readonly<Record<string, unknown>>;

const readHeader = (header: Members, claims: Members): CompactToken | string => {
  const { alg, kid } = header;
  for (const name of refused)
    if (Object.hasOwn(header, name)) return `header parameter ${name} is not accepted`;
  if (typeof alg !== 'string') return 'the token names no algorithm';
  if (kid === undefined) return { alg, kid, claims };
  if (typeof kid !== 'string' || new TextEncoder().encode(kid).length > MAX_KID_BYTES)
    return 'the key id is not a short string';
  return { alg, kid, claims };
};

/** They would change what is signed or how; nobody needs them for access tokens. */
const refused = ['crit', 'b64', 'enc', 'zip'] as const;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Also refuses bits that no byte uses: they would make many spellings of one token. */
const isBase64url = (text: string): boolean => {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return false;
  const last = ALPHABET.indexOf(text.at(-1) ?? '');
  switch (text.length % 4) {
    case 0:
      return true;
    case 2:
      return (last & 0b1111) === 0;
    case 3:
      return (last & 0b11) === 0;
    default:
      return false;
  }
};

const parseObject = (part: string): Members | undefined => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      base64url.decode(part),
    );
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return hasUniqueMembers(text) ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
};
