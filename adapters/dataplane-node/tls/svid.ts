// Who a client certificate is. The TLS library checks the chain; the rules of X.509-SVID (spiffe.io) are checked here.
import { type DerValue, derValues } from './der.ts';

const SEQUENCE = 0x30;
const OID = 0x06;
const BOOLEAN = 0x01;
/** `[3] EXPLICIT` of tbsCertificate. */
const EXTENSIONS = 0xa3;
/** `[6]` of GeneralName: uniformResourceIdentifier. */
const URI = 0x86;

export const SUBJECT_ALT_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const KEY_USAGE = '551d0f';
const EXTENDED_KEY_USAGE = '551d25';
const SERVER_AUTH = '2b06010505070301';
const CLIENT_AUTH = '2b06010505070302';

const DIGITAL_SIGNATURE = 0x80;
const KEY_CERT_SIGN = 0x04;
const CRL_SIGN = 0x02;

const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/;

export interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

/** `spiffe://...`; undefined for anything but a proper leaf with exactly one such name. */
export const spiffeId = (der: Buffer): string | undefined => {
  const extensions = extensionsOf(der);
  if (!extensions) return undefined;
  const uris = (inner(extensions.get(SUBJECT_ALT_NAME)) ?? []).filter((name) => name.tag === URI);
  if (uris.length !== 1) return undefined;
  const id = (uris[0] as DerValue).content.toString('latin1');
  if (!SPIFFE_ID.test(id) || /\/\.{1,2}(?:\/|$)/.test(id)) return undefined;
  return isLeaf(extensions) && maySign(extensions) && mayConnect(extensions) ? id : undefined;
};

export const extensionsOf = (der: Buffer): ReadonlyMap<string, Extension> | undefined => {
  const entries = extensionEntries(der);
  if (!entries) return undefined;
  const extensions = new Map<string, Extension>();
  for (const entry of entries) {
    const [oid, ...rest] = (entry.tag === SEQUENCE && derValues(entry.content)) || [];
    const value = rest.at(-1);
    if (oid?.tag !== OID || !value) return undefined;
    const key = oid.content.toString('hex');
    // Twice the same extension: two readers could see two certificates.
    if (extensions.has(key)) return undefined;
    const critical = rest[0]?.tag === BOOLEAN && rest[0].content[0] === 0xff;
    extensions.set(key, { critical, value: value.content });
  }
  return extensions;
};

const extensionEntries = (der: Buffer): readonly DerValue[] | undefined => {
  const certificate = derValues(der)?.[0];
  const tbs = certificate && derValues(certificate.content)?.[0];
  const wrapped = tbs && derValues(tbs.content)?.find((each) => each.tag === EXTENSIONS);
  const list = wrapped && derValues(wrapped.content)?.[0];
  return list && derValues(list.content);
};

/** The values inside the one sequence that most extensions are. */
export const inner = (extension: Extension | undefined): readonly DerValue[] | undefined => {
  const sequence = extension && derValues(extension.value)?.[0];
  return sequence?.tag === SEQUENCE ? derValues(sequence.content) : undefined;
};

export const isLeaf = (extensions: ReadonlyMap<string, Extension>): boolean => {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (!constraints) return true;
  const parts = inner(constraints);
  return (
    parts !== undefined && !parts.some((part) => part.tag === BOOLEAN && part.content[0] !== 0)
  );
};

const maySign = (extensions: ReadonlyMap<string, Extension>): boolean => {
  const usage = extensions.get(KEY_USAGE);
  const bits = usage && derValues(usage.value)?.[0]?.content[1];
  if (!usage?.critical || bits === undefined) return false;
  return (bits & DIGITAL_SIGNATURE) !== 0 && (bits & (KEY_CERT_SIGN | CRL_SIGN)) === 0;
};

const mayConnect = (extensions: ReadonlyMap<string, Extension>): boolean => {
  const usage = extensions.get(EXTENDED_KEY_USAGE);
  if (!usage) return true;
  const purposes = new Set((inner(usage) ?? []).map((each) => each.content.toString('hex')));
  return purposes.has(SERVER_AUTH) && purposes.has(CLIENT_AUTH);
};
