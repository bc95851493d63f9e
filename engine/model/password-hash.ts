// The stored form of a password: `scrypt:N:r:p:salt:key`, salt and key in base64url.
export interface PasswordHash {
  readonly cost: { readonly N: number; readonly r: number; readonly p: number };
  readonly salt: string;
  readonly key: string;
}

const form = /^scrypt:(\d{1,6}):(\d{1,2}):(\d{1,2}):([A-Za-z0-9_-]+):([A-Za-z0-9_-]{22,})$/;
const MAX_N = 2 ** 18;
const MAX_R = 32;
const MAX_P = 16;

export const passwordHashText = ({ cost: { N, r, p }, salt, key }: PasswordHash): string =>
  `scrypt:${[N, r, p, salt, key].join(':')}`;

/** Undefined for another form, and for costs that scrypt does not know or that would take the machine. */
export const parsePasswordHash = (text: string): PasswordHash | undefined => {
  const [, N, r, p, salt, key] = form.exec(text) ?? [];
  if (salt === undefined || key === undefined) return undefined;
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const isPowerOfTwo = cost.N > 1 && Number.isInteger(Math.log2(cost.N));
  const isKnown = isPowerOfTwo && cost.r > 0 && cost.p > 0 && isBase64url(salt) && isBase64url(key);
  const isAffordable = cost.N <= MAX_N && cost.r <= MAX_R && cost.p <= MAX_P;
  return isKnown && isAffordable ? { cost, salt, key } : undefined;
};

const isBase64url = (text: string): boolean => text.length % 4 !== 1;
