// The oracle: an independent and strict reader of RFC 9112, slow and plain. Texts are Latin-1, a character a byte.

export interface Head {
  /** Request line or status line. */
  readonly line: string;
  /** Names in lower case, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export interface RequestHead extends Head {
  readonly method: string;
  readonly target: string;
  readonly minor: number;
  /** -1 for chunks. */
  readonly length: number;
}

export interface ResponseHead extends Head {
  readonly status: number;
  /** -1 for chunks, Infinity until the end of the connection. */
  readonly length: number;
}

export interface Message {
  readonly line: string;
  readonly fields: Head['fields'];
  readonly body: string;
  readonly trailers: Head['fields'];
}

export interface Body {
  readonly body: string;
  readonly trailers: Head['fields'];
  readonly rest: string;
}

const REQUEST = /^([A-Z][A-Z0-9-]*) ([!"$-~]+) HTTP\/1\.([01])$/;
const STATUS = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,12})(?:;[\t\x20-\x7e]*)?\r\n/;
const LENGTH = /^[0-9]{1,15}$/;

const fieldsOf = (lines: readonly string[]): [string, string][] | undefined => {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (!match) return undefined;
    fields.push([(match[1] ?? '').toLowerCase(), match[2] ?? '']);
  }
  return fields;
};

const valuesOf = (fields: Head['fields'], name: string): readonly string[] =>
  fields.filter((field) => field[0] === name).map((field) => field[1]);

/** Length as the head says: undefined for what is ambiguous, and `absent` for nothing. */
const lengthOf = (fields: Head['fields'], minor: number, absent: number): number | undefined => {
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  if (lengths.length + codings.length > 1) return undefined;
  const [length] = lengths;
  const [coding] = codings;
  if (coding !== undefined)
    return coding.toLowerCase() === 'chunked' && minor === 1 ? -1 : undefined;
  if (length === undefined) return absent;
  return LENGTH.test(length) ? Number(length) : undefined;
};

/** `text` ends with the empty line. */
export const readRequestHead = (text: string): RequestHead | undefined => {
  const [line = '', ...lines] = text.slice(0, -4).split('\r\n');
  const match = REQUEST.exec(line);
  const fields = fieldsOf(lines);
  if (!match || !fields) return undefined;
  const minor = Number(match[3]);
  const hosts = valuesOf(fields, 'host').length;
  if (hosts > 1 || (hosts === 0 && minor === 1)) return undefined;
  if (valuesOf(fields, 'authorization').length > 1) return undefined;
  const length = lengthOf(fields, minor, 0);
  if (length === undefined) return undefined;
  return { line, fields, method: match[1] ?? '', target: match[2] ?? '', minor, length };
};

/** `text` ends with the empty line; `method` is the request's. */
export const readResponseHead = (text: string, method: string): ResponseHead | undefined => {
  const [line = '', ...lines] = text.slice(0, -4).split('\r\n');
  const match = STATUS.exec(line);
  const fields = fieldsOf(lines);
  if (!match || !fields) return undefined;
  const length = lengthOf(fields, Number(match[1]), Number.POSITIVE_INFINITY);
  if (length === undefined) return undefined;
  const status = Number(match[2]);
  const isEmpty = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  return { line, fields, status, length: isEmpty ? 0 : length };
};

/** Undefined for what is malformed or has not come to its end. */
export const readChunks = (text: string): Body | undefined => {
  let body = '';
  let at = 0;
  for (;;) {
    const size = CHUNK_SIZE.exec(text.slice(at, at + 8192));
    if (!size) return undefined;
    const bytes = Number.parseInt(size[1] ?? '0', 16);
    at += size[0].length;
    if (bytes === 0) break;
    body += text.slice(at, at + bytes);
    if (text.slice(at + bytes, at + bytes + 2) !== '\r\n') return undefined;
    at += bytes + 2;
  }
  if (text.startsWith('\r\n', at)) return { body, trailers: [], rest: text.slice(at + 2) };
  const end = text.indexOf('\r\n\r\n', at);
  const trailers = end < 0 ? undefined : fieldsOf(text.slice(at, end).split('\r\n'));
  return trailers && { body, trailers, rest: text.slice(end + 4) };
};

const readBody = (length: number, text: string): Body | undefined => {
  if (length === -1) return readChunks(text);
  if (text.length < length) return undefined;
  return { body: text.slice(0, length), trailers: [], rest: text.slice(length) };
};

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Final answers to requests of these methods, up to the first doubt; the rest is what is left then. */
export const readAnswers = (
  text: string,
  methods: readonly string[],
): { readonly answers: readonly Answer[]; readonly rest: string } => {
  const answers: Answer[] = [];
  let rest = text;
  while (answers.length < methods.length) {
    const end = rest.indexOf('\r\n\r\n');
    const method = methods[answers.length] as string;
    const head = end < 0 ? undefined : readResponseHead(rest.slice(0, end + 4), method);
    const read = head && readBody(head.length, rest.slice(end + 4));
    if (!head || !read) break;
    ({ rest } = read);
    if (head.status >= 200) answers.push({ status: head.status, body: read.body });
  }
  return { answers, rest };
};

export interface Reading {
  /** All whole requests up to the first doubt. */
  readonly messages: readonly Message[];
  /** A head after them whose body has not come, or is malformed. */
  readonly open: RequestHead | undefined;
  readonly rest: string;
}

export const readStrictly = (text: string): Reading => {
  const messages: Message[] = [];
  let rest = text;
  for (;;) {
    rest = rest.replace(/^(?:\r\n)+/, '');
    const end = rest.indexOf('\r\n\r\n');
    const head = end < 0 ? undefined : readRequestHead(rest.slice(0, end + 4));
    const read = head && readBody(head.length, rest.slice(end + 4));
    if (!head || !read) return { messages, open: head, rest };
    const { body, trailers } = read;
    messages.push({ line: head.line, fields: head.fields, body, trailers });
    ({ rest } = read);
  }
};
