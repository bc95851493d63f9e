// The names in a client certificate that are no SPIFFE id, read from the DER itself: what libraries print can be made to
// read like something else (quotes, commas and NULs in names).
import type { PeerNames } from '#engine/pipeline/exchange.ts';
import { type DerValue, derValues } from './der.ts';
import { type Extension, extensionsOf, inner, isLeaf, SUBJECT_ALT_NAME } from './svid.ts';

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = 0x06;
/** `[0] EXPLICIT` of tbsCertificate. */
const VERSION = 0xa0;
/** `[2]` of GeneralName: dNSName. */
const DNS = 0x82;
/** UTF8String, PrintableString, IA5String. */
const TEXTS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);

const HOST =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/;

const attributes: ReadonlyMap<string, string> = new Map([
  ['550403', 'CN'],
  ['550406', 'C'],
  ['550407', 'L'],
  ['550408', 'ST'],
  ['550409', 'STREET'],
  ['55040a', 'O'],
  ['55040b', 'OU'],
  ['0992268993f22c640119', 'DC'],
  ['0992268993f22c640101', 'UID'],
  ['2a864886f70d010901', 'emailAddress'],
]);

/** Undefined for an authority's own certificate and for what cannot be read: they are nobody's. */
export const peerNames = (der: Buffer): PeerNames | undefined => {
  const tbs = tbsOf(der);
  if (!tbs) return undefined;
  const hasExtensions = tbs.some(({ tag }) => tag === 0xa3);
  const extensions = hasExtensions ? extensionsOf(der) : new Map<string, Extension>();
  if (!extensions || !isLeaf(extensions)) return undefined;
  const dns = (inner(extensions.get(SUBJECT_ALT_NAME)) ?? [])
    .filter(({ tag }) => tag === DNS)
    .map(({ content }) => content.toString('latin1').toLowerCase());
  return {
    // One odd name makes all of them doubtful.
    dns: dns.every((name) => HOST.test(name)) ? dns : [],
    subject: subjectOf(tbs),
  };
};

const tbsOf = (der: Buffer): readonly DerValue[] | undefined => {
  const certificate = derValues(der)?.[0];
  const tbs = certificate && derValues(certificate.content)?.[0];
  return tbs?.tag === SEQUENCE ? derValues(tbs.content) : undefined;
};

/** As RFC 4514 writes it, last part first: `CN=reader,O=Bibby`. Undefined if it is empty or not plain text. */
const subjectOf = (tbs: readonly DerValue[]): string | undefined => {
  // version?, serial, signature, issuer, validity, subject
  const subject = tbs[tbs[0]?.tag === VERSION ? 5 : 4];
  const parts = subject?.tag === SEQUENCE ? derValues(subject.content) : undefined;
  if (!parts || parts.length === 0) return undefined;
  const texts = parts.map(relativeName);
  return texts.includes(undefined) ? undefined : texts.toReversed().join(',');
};

const relativeName = ({ tag, content }: DerValue): string | undefined => {
  const pairs = tag === SET ? derValues(content) : undefined;
  if (!pairs || pairs.length === 0) return undefined;
  const texts = pairs.map((pair) => {
    const [oid, value, ...rest] = (pair.tag === SEQUENCE && derValues(pair.content)) || [];
    if (oid?.tag !== OID || !value || rest.length > 0) return undefined;
    const name = attributes.get(oid.content.toString('hex'));
    const text = textOf(value);
    return name === undefined || text === undefined ? undefined : `${name}=${escaped(text)}`;
  });
  return texts.includes(undefined) ? undefined : texts.join('+');
};

const textOf = ({ tag, content }: DerValue): string | undefined => {
  if (!TEXTS.has(tag)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    return text === '' || /\p{Cc}|\p{Cf}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
};

const escaped = (text: string): string =>
  text.replaceAll(/["+,;<>\\=]|^[ #]| $/g, (char) => `\\${char}`);
