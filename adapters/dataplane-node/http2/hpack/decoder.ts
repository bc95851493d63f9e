// Reads field blocks as RFC 7541 has them. One decoder for each connection: its table is what earlier blocks have put there.
import '../../latin1.ts';
import { huffmanText } from './huffman.ts';
import { STATIC_TABLE } from './static-table.ts';

/** Bytes of the table, and what an entry costs beside its text (RFC 7541 4.1). */
const TABLE_SIZE = 4096;
const ENTRY_COST = 32;
const DROPPED_BEFORE_MOVE = 128;
/** Integers that no field block can need. */
const TOO_LARGE = 2 ** 28;

export interface BlockLimits {
  readonly maxFields: number;
  /** Names, values and 32 bytes for each field. */
  readonly maxBytes: number;
}

/** `broken`: the table cannot be trusted any more, so neither can the connection. */
export type Reading = 'whole' | 'too-large' | 'broken';

export class HpackDecoder {
  private readonly limits: BlockLimits;
  /** The newest last; what stands before `dropped` is gone. */
  private names: string[] = [];
  private values: string[] = [];
  private dropped = 0;
  private size = 0;
  private maxSize = TABLE_SIZE;
  // Of the block under way.
  private bytes: Buffer = EMPTY;
  private at = 0;
  private end = 0;
  private isBroken = false;

  constructor(limits: BlockLimits) {
    this.limits = limits;
  }

  /** Adds names and values to `list`, in turn; none of them once they are too many or too long. */
  read(bytes: Buffer, start: number, end: number, list: string[]): Reading {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.isBroken = false;
    let room = this.limits.maxBytes;
    let fields = 0;
    while (this.at < this.end && !this.isBroken) {
      const byte = bytes[this.at] as number;
      if (byte >= 0x20 && byte < 0x40) {
        // Only the start of a block may change the size (RFC 7541 4.2).
        if (fields > 0) this.isBroken = true;
        else this.resize(this.integer(0x1f));
        continue;
      }
      const index = this.readField(byte);
      room -= this.name.length + this.value.length + ENTRY_COST;
      if (++fields <= this.limits.maxFields && room >= 0) list.push(this.name, this.value);
      if (index) this.insert(this.name, this.value);
    }
    this.bytes = EMPTY;
    if (this.isBroken) return 'broken';
    return fields <= this.limits.maxFields && room >= 0 ? 'whole' : 'too-large';
  }

  /** What `readField` found. */
  private name = '';
  private value = '';

  /** True for a field that goes into the table. */
  private readField(byte: number): boolean {
    if (byte >= 0x80) {
      this.find(this.integer(0x7f), true);
      return false;
    }
    const isInserted = byte >= 0x40;
    const index = this.integer(isInserted ? 0x3f : 0x0f);
    if (index === 0) this.name = this.text();
    else this.find(index, false);
    this.value = this.text();
    return isInserted;
  }

  private find(index: number, withValue: boolean): void {
    const fixed = STATIC_TABLE[index - 1];
    if (fixed) {
      this.name = fixed[0];
      if (withValue) this.value = fixed[1];
      return;
    }
    const at = this.names.length - (index - STATIC_TABLE.length);
    if (index === 0 || at < this.dropped) {
      this.name = this.value = '';
      this.isBroken = true;
      return;
    }
    this.name = this.names[at] as string;
    if (withValue) this.value = this.values[at] as string;
  }

  /** RFC 7541 5.1; `mask` covers the bits of the first byte that belong to it. */
  private integer(mask: number): number {
    const first = (this.bytes[this.at++] as number) & mask;
    if (first < mask) return first;
    let value = first;
    for (let factor = 1; this.at < this.end && value < TOO_LARGE; factor *= 128) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    this.isBroken = true;
    return 0;
  }

  /** RFC 7541 5.2. */
  private text(): string {
    if (this.at >= this.end) {
      this.isBroken = true;
      return '';
    }
    const isHuffman = (this.bytes[this.at] as number) >= 128;
    const length = this.integer(0x7f);
    const start = this.at;
    if (this.isBroken || length > this.end - start) {
      this.isBroken = true;
      return '';
    }
    this.at += length;
    if (!isHuffman) return this.bytes.latin1Slice(start, this.at);
    const text = huffmanText(this.bytes, start, this.at);
    if (text === undefined) this.isBroken = true;
    return text ?? '';
  }

  private insert(name: string, value: string): void {
    this.size += name.length + value.length + ENTRY_COST;
    this.names.push(name);
    this.values.push(value);
    this.shrink();
  }

  private resize(size: number): void {
    if (size > TABLE_SIZE) this.isBroken = true;
    else this.maxSize = size;
    this.shrink();
  }

  /** The oldest go first. */
  private shrink(): void {
    while (this.size > this.maxSize) {
      const at = this.dropped++;
      this.size -= (this.names[at] as string).length + (this.values[at] as string).length;
      this.size -= ENTRY_COST;
      this.names[at] = this.values[at] = '';
    }
    if (this.dropped < DROPPED_BEFORE_MOVE) return;
    this.names = this.names.slice(this.dropped);
    this.values = this.values.slice(this.dropped);
    this.dropped = 0;
  }
}

const EMPTY = Buffer.alloc(0);
