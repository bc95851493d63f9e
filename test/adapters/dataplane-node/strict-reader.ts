// The oracle: an independent and strict reader of RFC 9112 requests, slow and plain.

export interface Message {
  readonly line: string;
  readonly body: string;
}

const LINE = /^[A-Z][A-Z0-9-]* [!-~]+ HTTP\/1\.[01]$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,12})(?:;[\t\x20-\x7e]*)?\r\n/;

interface Body {
  readonly body: string;
  readonly rest: string;
}

/** Reads as many whole requests as there are; stops at the first doubt. */
export const readStrictly = (text: string): { messages: Message[]; rest: string } => {
  const messages: Message[] = [];
  let rest = text;
  for (;;) {
    rest = rest.replace(/^(?:\r\n)+/, '');
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return { messages, rest };
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n');
    const fields = fieldsOf(lines);
    if (!LINE.test(line) || !fields) return { messages, rest };
    const read = bodyOf(fields, rest.slice(end + 4));
    if (!read) return { messages, rest };
    messages.push({ line, body: read.body });
    ({ rest } = read);
  }
};

const fieldsOf = (lines: readonly string[]): Map<string, string[]> | undefined => {
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (!match) return undefined;
    const name = (match[1] ?? '').toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), match[2] ?? '']);
  }
  return fields;
};

const bodyOf = (fields: Map<string, string[]>, after: string): Body | undefined => {
  const lengths = fields.get('content-length') ?? [];
  const codings = fields.get('transfer-encoding') ?? [];
  if (lengths.length + codings.length > 1) return undefined;
  const [length] = lengths;
  const [coding] = codings;
  if (coding !== undefined)
    return coding.toLowerCase() === 'chunked' ? chunkedBody(after) : undefined;
  if (length === undefined) return { body: '', rest: after };
  const bytes = Number(length);
  if (!/^\d{1,15}$/.test(length) || after.length < bytes) return undefined;
  return { body: after.slice(0, bytes), rest: after.slice(bytes) };
};

const chunkedBody = (after: string): Body | undefined => {
  let body = '';
  let at = 0;
  for (;;) {
    const size = CHUNK_SIZE.exec(after.slice(at));
    if (!size) return undefined;
    const bytes = Number.parseInt(size[1] ?? '0', 16);
    at += size[0].length;
    if (bytes === 0) break;
    body += after.slice(at, at + bytes);
    if (after.slice(at + bytes, at + bytes + 2) !== '\r\n') return undefined;
    at += bytes + 2;
  }
  if (after.startsWith('\r\n', at)) return { body, rest: after.slice(at + 2) };
  const end = after.indexOf('\r\n\r\n', at);
  return end < 0 ? undefined : { body, rest: after.slice(end + 4) };
};
