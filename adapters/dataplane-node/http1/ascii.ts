// Character tables of RFC 9110 and RFC 9112, and the name hash that header lookup rests on.

const fold = (code: number): number => (code >= 65 && code <= 90 ? code + 32 : code);

const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Lower-case form of a token character; 0 for a character that a field name may not have. */
export const TOKEN: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (let i = 0; i < TOKEN_CHARS.length; i++)
    table[TOKEN_CHARS.charCodeAt(i)] = fold(TOKEN_CHARS.charCodeAt(i));
  return table;
})();

const isAlphanumeric = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 97 && code <= 122);

/** TOKEN with everything but letters and digits folded to `-`: servers that map names to variables confuse them. */
export const ALIAS: Uint8Array = TOKEN.map((code) =>
  code === 0 || isAlphanumeric(code) ? code : 45,
);

export const HASH_SEED = 0x811c9dc5 | 0;

const hashes = new Map<string, number>();
const MAX_CACHED = 4096;

/** Hash of a field name, equal for names that differ in case or punctuation only. */
export const hashName = (name: string): number => {
  const known = hashes.get(name);
  if (known !== undefined) return known;
  let hash = HASH_SEED;
  for (let i = 0; i < name.length; i++)
    hash = Math.imul(hash ^ (ALIAS[name.charCodeAt(i) & 255] as number), 0x01000193);
  if (hashes.size < MAX_CACHED) hashes.set(name, hash);
  return hash;
};

/** Whether `text[start, end)` is `name` in any case; `name` is lower case. */
export const sameName = (text: string, start: number, end: number, name: string): boolean => {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++)
    if (TOKEN[text.charCodeAt(start + i)] !== name.charCodeAt(i)) return false;
  return true;
};

/** As `sameName`, with all punctuation taken for the same. */
export const sameAlias = (text: string, start: number, end: number, name: string): boolean => {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++)
    if (ALIAS[text.charCodeAt(start + i)] !== ALIAS[name.charCodeAt(i) & 255]) return false;
  return true;
};

/** Anything but HTAB, SP, VCHAR and obs-text (RFC 9110 5.5). */
const NOT_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * A value from policy or a token as it may stand in a field line: text outside Latin-1 as UTF-8 bytes, control
 * characters as spaces, so that no value can start another line.
 */
export const safeValue = (value: string): string => {
  if (!NOT_FIELD_VALUE.test(value)) return value;
  return Buffer.from(value, 'utf8')
    .toString('latin1')
    .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, ' ');
};
