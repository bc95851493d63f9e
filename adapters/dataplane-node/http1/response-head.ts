// One response head from an upstream (RFC 9112 4 and 6.3). An upstream that is not exact is not believed.
import type { ResponseView } from '#engine/pipeline/exchange.ts';
import { Kind } from './field-names.ts';
import { FieldSection } from './field-section.ts';

const LENGTH = /^[0-9]{1,15}$/;
const MAX_FIELDS = 256;

/** Three digits; 0 if they are none. */
const numberAt = (text: string, at: number): number => {
  let number = 0;
  for (let i = at; i < at + 3; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return 0;
    number = number * 10 + digit;
  }
  return number;
};

export class ResponseHead implements ResponseView {
  readonly fields = new FieldSection({ refusesAliases: false });
  status = 0;
  reason = '';
  minor = 1;
  /** -1 chunked, Infinity until close, otherwise bytes; already 0 for HEAD, 1xx, 204 and 304. */
  bodyLength = 0;
  /** Content-Length as said; -1 if not. */
  declaredLength = -1;
  keepAlive = true;
  /** How long the upstream says it keeps an idle connection. */
  keepAliveMs = Number.POSITIVE_INFINITY;
  /** Lower-case names nominated by Connection. */
  nominated: string[] | undefined;

  private codings = 0;
  private lengths = 0;
  private upgrade = false;

  header(name: string): string | undefined {
    return this.fields.first(name);
  }

  /** Whether Connection: upgrade is there, as a 101 needs. */
  get switches(): boolean {
    return this.status === 101 && this.upgrade;
  }

  /** False when it is malformed. */
  parse(text: string, method: string): boolean {
    this.reset();
    const lineEnd = text.indexOf('\r\n');
    if (!this.parseStatusLine(text, lineEnd)) return false;
    if (this.fields.parse(text, lineEnd + 2, MAX_FIELDS) !== undefined) return false;
    for (let i = 0; i < this.fields.count; i++) {
      const kind = this.fields.kind(i);
      if (kind !== Kind.Other && !this.note(kind, this.fields, i)) return false;
    }
    return this.settle(method);
  }

  private reset(): void {
    this.declaredLength = -1;
    this.nominated = undefined;
    this.keepAliveMs = Number.POSITIVE_INFINITY;
    this.codings = 0;
    this.lengths = 0;
    this.upgrade = false;
  }

  private parseStatusLine(text: string, lineEnd: number): boolean {
    const minor = text.charCodeAt(7) - 48;
    if (!text.startsWith('HTTP/1.') || (minor !== 0 && minor !== 1)) return false;
    if (text.charCodeAt(8) !== 32 || lineEnd < 12) return false;
    const status = numberAt(text, 9);
    if (status < 100) return false;
    if (lineEnd > 12 && text.charCodeAt(12) !== 32) return false;
    this.minor = minor;
    this.keepAlive = minor === 1;
    this.status = status;
    if (lineEnd === 15 && text.startsWith('OK', 13)) {
      this.reason = 'OK';
      return true;
    }
    this.reason = lineEnd > 13 ? text.slice(13, lineEnd) : '';
    return !/[^\t\x20-\x7e\x80-\xff]/.test(this.reason);
  }

  private note(kind: number, fields: FieldSection, index: number): boolean {
    if (kind === Kind.ContentLength) {
      const value = fields.value(index);
      this.lengths++;
      if (!LENGTH.test(value)) return false;
      this.declaredLength = Number(value);
    } else if (kind === Kind.TransferEncoding) {
      this.codings++;
      return fields.value(index).toLowerCase() === 'chunked';
    } else if (kind === Kind.Connection) this.noteConnection(fields.value(index));
    else if (kind === Kind.KeepAlive) {
      const seconds = /(?:^|[ ,])timeout=([0-9]{1,6})/i.exec(fields.value(index))?.[1];
      if (seconds !== undefined) this.keepAliveMs = Number(seconds) * 1000;
    }
    return true;
  }

  private noteConnection(value: string): void {
    if (value === 'keep-alive') {
      this.keepAlive = true;
      return;
    }
    for (const part of value.toLowerCase().split(',')) {
      const name = part.trim();
      if (name === 'close') this.keepAlive = false;
      else if (name === 'keep-alive') this.keepAlive = true;
      else if (name === 'upgrade') this.upgrade = true;
      else if (name !== '') (this.nominated ??= []).push(name);
    }
  }

  private settle(method: string): boolean {
    if (this.lengths + this.codings > 1) return false;
    if (this.codings === 1 && this.minor === 0) return false;
    const status = this.status;
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) this.bodyLength = 0;
    else if (this.codings === 1) this.bodyLength = -1;
    else if (this.lengths === 1) this.bodyLength = this.declaredLength;
    else {
      this.bodyLength = Number.POSITIVE_INFINITY;
      this.keepAlive = false;
    }
    return true;
  }
}
