// Field lists of HTTP/2 as the text of an HTTP/1.1 head, and back: one strict reading and one set of rules serve both versions.
import { phraseOf } from '../downstream/local-reply.ts';
import { FieldSection } from '../http1/field-section.ts';
import { fieldBlock, statusBlock } from './hpack/encoder.ts';

/** Name, value, name, value, ... as they came. */
export type FieldList = readonly string[];

/** `fields` are to be found in the text: a value with a line end in it would make more of them, or end the text early. */
export interface HeadText {
  readonly text: string;
  readonly fields: number;
}

/** Meant for one connection of HTTP/1.1; a message that has one is malformed (RFC 9113 8.2.2). */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

const COLON = 58;
const CR = 13;
const MAX_TRAILERS = 64;

/** Whether parsing `text` found exactly what was put into it. */
export const isSound = ({ text, fields }: HeadText, found: FieldSection): boolean =>
  found.count === fields && text.indexOf('\r\n\r\n') === text.length - 4;

/** A token in lower case. In the text a colon would end it, and a large letter mean nothing (RFC 9113 8.2.1). */
const isName = (name: string): boolean => /^[a-z0-9_!#$%&'*+.^`|~-]+$/.test(name);

const isMisplaced = (name: string, value: string): boolean =>
  !isName(name) || CONNECTION_SPECIFIC.has(name) || (name === 'te' && value !== 'trailers');

/** Undefined for a list that is malformed as such. */
export const requestText = (list: FieldList): HeadText | undefined => {
  const pseudo = new Map<string, string>();
  let host: string | undefined;
  let cookie = '';
  let lines = '';
  let fields = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    if (name.charCodeAt(0) === COLON) {
      // Nothing stands before them.
      if (pseudo.has(name) || pseudo.size * 2 < i) return undefined;
      pseudo.set(name, value);
    } else if (name === 'cookie') cookie = cookie === '' ? value : `${cookie}; ${value}`;
    else if (name === 'host') {
      if (host !== undefined) return undefined;
      host = value;
    } else if (isMisplaced(name, value)) return undefined;
    else {
      lines += `${name}: ${value}\r\n`;
      fields++;
    }
  }
  const line = requestLine(pseudo);
  const authority = authorityOf(pseudo.get(':authority'), host);
  if (line === undefined || authority === undefined) return undefined;
  if (authority !== '') {
    lines = `host: ${authority}\r\n${lines}`;
    fields++;
  }
  if (cookie !== '') {
    lines += `cookie: ${cookie}\r\n`;
    fields++;
  }
  return { text: `${line} HTTP/1.1\r\n${lines}\r\n`, fields };
};

/** Method and origin-form target; anything else has no place in `:path`. */
const requestLine = (pseudo: ReadonlyMap<string, string>): string | undefined => {
  const method = pseudo.get(':method');
  if (method === 'CONNECT') return `CONNECT ${pseudo.get(':authority') ?? ''}`;
  const path = pseudo.get(':path');
  const scheme = pseudo.get(':scheme');
  const isKnown = pseudo.size - (pseudo.has(':authority') ? 1 : 0) === 3;
  if (method === undefined || path === undefined || scheme === undefined || !isKnown)
    return undefined;
  if (scheme !== 'http' && scheme !== 'https') return undefined;
  return path.startsWith('/') || path === '*' ? `${method} ${path}` : undefined;
};

/** Two names for one place may differ in case only. */
const authorityOf = (
  authority: string | undefined,
  host: string | undefined,
): string | undefined => {
  if (authority === undefined || host === undefined) return authority ?? host ?? '';
  return authority.toLowerCase() === host.toLowerCase() ? authority : undefined;
};

/** Head of an answer, informational ones included. */
export const responseText = (list: FieldList): HeadText | undefined => {
  let status = '';
  let lines = '';
  let fields = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    if (name === ':status') {
      if (status !== '' || fields > 0) return undefined;
      status = value;
    } else if (name.charCodeAt(0) === COLON || isMisplaced(name, value)) return undefined;
    else {
      lines += `${name}: ${value}\r\n`;
      fields++;
    }
  }
  return { text: `HTTP/1.1 ${status} ${phraseOf(Number(status))}\r\n${lines}\r\n`, fields };
};

/** Undefined when they are malformed. */
export const trailersOf = (list: FieldList): FieldSection | undefined => {
  let text = '';
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    if (!isName(name) || CONNECTION_SPECIFIC.has(name)) return undefined;
    text += `${name}: ${list[i + 1]}\r\n`;
  }
  const head = { text: `${text}\r\n`, fields: list.length / 2 };
  const section = new FieldSection({ refusesAliases: true });
  if (section.parse(head.text, 0, MAX_TRAILERS) !== undefined) return undefined;
  // Without a field the empty line is all there is.
  return list.length === 0 || isSound(head, section) ? section : undefined;
};

/** Hands on the fields of lines written by this proxy, `name: value`, from `start` to the empty line or the end. Names in lower case. */
const eachField = (
  text: string,
  start: number,
  take: (name: string, value: string) => void,
): void => {
  for (let at = start; at < text.length && text.charCodeAt(at) !== CR; ) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r\n', colon);
    take(text.slice(at, colon).toLowerCase(), text.slice(colon + 2, end));
    at = end + 2;
  }
};

/** Those of a head, but what one connection of HTTP/1.1 needs. */
const eachHeadField = (text: string, take: (name: string, value: string) => void): void =>
  eachField(text, text.indexOf('\r\n') + 2, (name, value) => {
    if (!CONNECTION_SPECIFIC.has(name)) take(name, value);
  });

/** The head of an answer written by this proxy, as a field block. `isWhole`: its end says that there is no body, so no length does. */
export const responseBlock = (text: string, isWhole = false): string => {
  let block = statusBlock(text.slice(9, 12));
  eachHeadField(text, (name, value) => {
    if (!isWhole || name !== 'content-length' || value !== '0') block += fieldBlock(name, value);
  });
  return block;
};

/** Field lines written by this proxy as a field block. */
export const trailerBlock = (lines: string): string => {
  let block = '';
  eachField(lines, 0, (name, value) => {
    block += fieldBlock(name, value);
  });
  return block;
};

/** A head written by this proxy, taken apart: pseudo fields, then the fields. */
export const writtenRequest = (text: string, scheme: 'http' | 'https'): string[] => {
  const methodEnd = text.indexOf(' ');
  const pathEnd = text.indexOf(' ', methodEnd + 1);
  const path = text.slice(methodEnd + 1, pathEnd);
  const list = [':method', text.slice(0, methodEnd), ':scheme', scheme, ':path', path];
  eachHeadField(text, (name, value) => {
    list.push(name === 'host' ? ':authority' : name, value);
  });
  return list;
};

/** The body has no declared length; trailers may follow it. */
export const isOpenEnded = (text: string): boolean =>
  text.includes('\r\ntransfer-encoding: chunked\r\n');

/** The caller wants to speak something else than HTTP afterwards, which a stream cannot. */
export const switchesProtocol = (text: string): boolean => text.includes('\r\nupgrade: ');

/** Field lines written by this proxy as Node takes trailers. */
export const trailerFields = (lines: string): Record<string, string[]> => {
  const fields: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  eachField(lines, 0, (name, value) => {
    (fields[name] ??= []).push(value);
  });
  return fields;
};
