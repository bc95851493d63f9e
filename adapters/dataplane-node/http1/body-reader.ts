// Message body framing (RFC 9112 6 and 7), read strictly. A reader hands out runs of data inside the caller's buffer.
import { FieldSection } from './field-section.ts';

export type BodyFault = 'chunk-size' | 'chunk-end' | 'trailers' | 'extension';

const CR = 13;
const LF = 10;
/** Chunk extensions mean nothing to anybody here; more than this is an attack. */
const MAX_EXTENSION_BYTES = 4096;
const MAX_TRAILER_BYTES = 16_384;
const MAX_TRAILERS = 64;

const State = {
  Data: 0,
  SizeFirst: 1,
  Size: 2,
  Extension: 3,
  SizeLf: 4,
  DataCr: 5,
  DataLf: 6,
  Trailers: 7,
  Done: 8,
} as const;

const HEX: Int8Array = (() => {
  const table = new Int8Array(256).fill(-1);
  for (let i = 0; i < 10; i++) table[48 + i] = i;
  for (let i = 0; i < 6; i++) {
    table[65 + i] = 10 + i;
    table[97 + i] = 10 + i;
  }
  return table;
})();

export class BodyReader {
  /** The run found by the last `read`, inside its buffer; empty when equal. */
  dataStart = 0;
  dataEnd = 0;
  fault: BodyFault | undefined;
  /** Of a chunked body that had any. */
  trailers: FieldSection | undefined;

  private state: number = State.Done;
  /** Data bytes left in the body, or in the chunk. */
  private left = 0;
  private chunked = false;
  private digits = 0;
  private extensionBytes = 0;
  private trailerText = '';

  /** -1 reads chunks; Infinity reads until the connection closes. */
  start(length: number): void {
    this.fault = undefined;
    this.trailers = undefined;
    this.dataStart = this.dataEnd = 0;
    this.chunked = length === -1;
    this.extensionBytes = 0;
    this.trailerText = '';
    this.left = this.chunked ? 0 : length;
    this.state = this.chunked ? State.SizeFirst : length === 0 ? State.Done : State.Data;
  }

  get done(): boolean {
    return this.state === State.Done;
  }

  /** Data bytes still to come that are known of; Infinity when the sender has not said. */
  get remaining(): number {
    return this.chunked && this.state !== State.Done ? Number.POSITIVE_INFINITY : this.left;
  }

  /** Reads on from `position`, at most up to the end of one run of data, and returns where it stopped. */
  read(bytes: Buffer, position: number, end: number): number {
    let at = position;
    this.dataStart = this.dataEnd = 0;
    while (at < end && this.state !== State.Done && this.fault === undefined) {
      if (this.state === State.Data) return this.readData(at, end);
      if (this.state === State.Trailers) return this.readTrailers(bytes, at, end);
      this.step(bytes[at++] as number);
    }
    return at;
  }

  private readData(position: number, end: number): number {
    const size = Math.min(end - position, this.left);
    this.dataStart = position;
    this.dataEnd = position + size;
    this.left -= size;
    if (this.left === 0) this.state = this.chunked ? State.DataCr : State.Done;
    return this.dataEnd;
  }

  /** One byte of chunk framing. */
  private step(byte: number): void {
    switch (this.state) {
      case State.SizeFirst:
      case State.Size:
        this.stepSize(byte);
        break;
      case State.Extension:
        this.stepExtension(byte);
        break;
      case State.SizeLf:
        if (byte !== LF) this.fault = 'chunk-size';
        else this.state = this.left === 0 ? State.Trailers : State.Data;
        break;
      case State.DataCr:
        if (byte !== CR) this.fault = 'chunk-end';
        this.state = State.DataLf;
        break;
      default:
        if (byte !== LF) this.fault = 'chunk-end';
        this.state = State.SizeFirst;
    }
  }

  private stepSize(byte: number): void {
    const digit = HEX[byte] as number;
    if (digit >= 0) {
      if (this.state === State.SizeFirst) {
        this.left = 0;
        this.digits = 0;
        this.state = State.Size;
      }
      // 12 digits are 2^48 bytes: more is nobody's honest chunk.
      if (++this.digits > 12) this.fault = 'chunk-size';
      this.left = this.left * 16 + digit;
    } else if (this.state === State.SizeFirst) this.fault = 'chunk-size';
    else if (byte === CR) this.state = State.SizeLf;
    else if (byte === 59) this.state = State.Extension;
    else this.fault = 'chunk-size';
  }

  private stepExtension(byte: number): void {
    if (byte === CR) this.state = State.SizeLf;
    else if ((byte < 32 && byte !== 9) || byte > 126) this.fault = 'extension';
    if (++this.extensionBytes > MAX_EXTENSION_BYTES) this.fault = 'extension';
  }

  private readTrailers(bytes: Buffer, position: number, end: number): number {
    const before = this.trailerText.length;
    const stop = Math.min(end, position + MAX_TRAILER_BYTES + 4 - before);
    const text = this.trailerText + bytes.latin1Slice(position, stop);
    if (text.startsWith('\r\n')) return this.finishTrailers(text, 2, position - before);
    const emptyLine = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (emptyLine >= 0) return this.finishTrailers(text, emptyLine + 4, position - before);
    if (text.length > MAX_TRAILER_BYTES) this.fault = 'trailers';
    this.trailerText = text;
    return stop;
  }

  private finishTrailers(text: string, length: number, origin: number): number {
    this.state = State.Done;
    if (length > 2) {
      const trailers = new FieldSection({ refusesAliases: true });
      if (trailers.parse(text, 0, MAX_TRAILERS) !== undefined) this.fault = 'trailers';
      else this.trailers = trailers;
    }
    return origin + length;
  }
}
