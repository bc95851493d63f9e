// As much of DER as it takes to walk through a certificate. Lengths are checked; anything odd is undefined.

export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
}

/** The values one after the other; undefined if the bytes are not DER to the end. */
export const derValues = (bytes: Buffer): readonly DerValue[] | undefined => {
  const values: DerValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    const header = lengthAt(bytes, at + 1);
    // Multi-byte tags do not occur in certificates.
    if (!header || (tag & 0x1f) === 0x1f) return undefined;
    const end = header.start + header.length;
    if (end > bytes.length) return undefined;
    values.push({ tag, content: bytes.subarray(header.start, end) });
    at = end;
  }
  return values;
};

const lengthAt = (
  bytes: Buffer,
  at: number,
): { readonly start: number; readonly length: number } | undefined => {
  const first = bytes[at];
  if (first === undefined) return undefined;
  if (first < 0x80) return { start: at + 1, length: first };
  const size = first & 0x7f;
  if (size === 0 || size > 4 || at + 1 + size > bytes.length) return undefined;
  return { start: at + 1 + size, length: bytes.readUIntBE(at + 1, size) };
};
