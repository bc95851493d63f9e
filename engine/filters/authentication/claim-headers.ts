// Claims as request headers for backends.
import { own } from '../own.ts';

const MAX_LENGTH = 8192;

/** `a.b` looks for a claim of that very name first, then for `b` inside `a`. */
const claimAt = (claims: Readonly<Record<string, unknown>>, path: string): unknown => {
  const direct = own(claims, path);
  if (direct !== undefined || !path.includes('.')) return direct;
  let value: unknown = claims;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = own(value as Record<string, unknown>, name);
  }
  return value;
};

/** Name, value, ... */
export const claimHeaders = (
  claims: Readonly<Record<string, unknown>>,
  mapping: readonly (readonly [claim: string, header: string])[],
): readonly string[] =>
  mapping.flatMap(([claim, header]) => {
    const value = claimHeader(claimAt(claims, claim));
    return value === undefined ? [] : [header.toLowerCase(), value];
  });

/** Lists are joined with commas; objects, empty values and what is too long make no header. */
export const claimHeader = (claim: unknown): string | undefined => {
  const items = Array.isArray(claim) ? claim : [claim];
  const encode = Array.isArray(claim) ? encodeItem : encodeText;
  const texts = items.flatMap((item: unknown) => {
    if (typeof item === 'string') return encode(item);
    return typeof item === 'number' || typeof item === 'boolean' ? String(item) : [];
  });
  const value = texts.join(',');
  return value === '' || value.length > MAX_LENGTH ? undefined : value;
};

/** Percent-encoded UTF-8 for all that is not visible ASCII or an inner space, and for `%` so that it can be undone. */
const encodeText = (text: string): string =>
  text.replaceAll(/[^\u0020-\u007e]+|%|^ +| +$/gu, percent);

/** In a list a comma inside an item must not look like two items. */
const encodeItem = (text: string): string => encodeText(text).replaceAll(',', '%2C');

const percent = (text: string): string => encodeURIComponent(text.toWellFormed());
