// What one side of a connection hears, frame by frame: shape and order as RFC 9113 has them, padding taken off, field blocks read. What it means is
// for its listener to say.
import { type Frame, FrameReader, type FrameSink } from './frame-reader.ts';
import { ErrorCode, Flag, FrameType, MAX_WINDOW, PREFACE, readWord } from './frames.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { MAX_HEADER_LIST_SIZE, MAX_HEADER_PAIRS } from './session-options.ts';

/** A field block on the wire, and the frames that it may come in. */
const MAX_BLOCK_BYTES = 65_536;
const MAX_CONTINUATIONS = 16;
const PRIORITY_BYTES = 5;
/** Of one frame, as nghttp2 has it; each may move the windows of all streams. */
const MAX_SETTINGS = 32;
const SETTING_BYTES = 6;

/** Undefined: more fields than are read. */
export type Fields = readonly string[] | undefined;

/** A part of a body: `bytes[start, end)`, valid during the call only. */
export interface BodyPart {
  /** With its padding: what it takes of the windows. */
  readonly length: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly isEnd: boolean;
}

export interface InboundListener {
  /** Nothing more is to be read. */
  readonly isOver: boolean;
  onData(stream: number, part: BodyPart): void;
  onFields(stream: number, isEnd: boolean, fields: Fields): void;
  onReset(stream: number): void;
  /** What is wrong with it, or `NoError`. */
  onSetting(id: number, value: number): number;
  /** All of one frame have been told. */
  onSettings(): void;
  onPing(payload: string, isAnswer: boolean): void;
  onGoAway(): void;
  onWindow(stream: number, increment: number): void;
  /** A frame that asks for nothing: priorities, and types that nobody knows. */
  onIdleFrame(): void;
  /** The connection cannot go on. */
  onFault(code: number): void;
}

/** A field block that goes on in the next frame. */
interface OpenBlock {
  readonly stream: number;
  readonly isEnd: boolean;
  readonly pieces: Buffer[];
  size: number;
}

export class Inbound implements FrameSink {
  private readonly listener: InboundListener;
  private readonly reader = new FrameReader(this);
  private readonly decoder = new HpackDecoder({
    maxFields: MAX_HEADER_PAIRS,
    maxBytes: MAX_HEADER_LIST_SIZE,
  });
  private block: OpenBlock | undefined;
  /** Bytes of the preface that have come. */
  private greeted = 0;
  private hasSettings = false;

  constructor(listener: InboundListener) {
    this.listener = listener;
  }

  read(bytes: Buffer, length: number): void {
    let at = 0;
    for (; this.greeted < PREFACE.length && at < length; at++)
      if (bytes[at] !== PREFACE.charCodeAt(this.greeted++)) return this.fail(ErrorCode.Protocol);
    if (at < length) this.reader.read(bytes, at, length);
  }

  onOversizedFrame(): void {
    this.fail(ErrorCode.FrameSize);
  }

  onFrame(frame: Frame): boolean {
    const { type, stream } = frame;
    const isExpected =
      this.block === undefined
        ? type !== FrameType.Continuation && (this.hasSettings || type === FrameType.Settings)
        : type === FrameType.Continuation && stream === this.block.stream;
    if (isExpected) this.take(frame);
    else this.fail(ErrorCode.Protocol);
    return !this.listener.isOver;
  }

  private take(frame: Frame): void {
    switch (frame.type) {
      case FrameType.Data:
        return this.onData(frame);
      case FrameType.Headers:
        return this.onHeaders(frame);
      case FrameType.Priority:
        return this.onPriority(frame);
      case FrameType.RstStream:
        return this.onReset(frame);
      case FrameType.Settings:
        return this.onSettings(frame);
      case FrameType.PushPromise:
        return this.fail(ErrorCode.Protocol);
      case FrameType.Ping:
        return this.onPing(frame);
      case FrameType.GoAway:
        return this.onGoAway(frame);
      case FrameType.WindowUpdate:
        return this.onWindowUpdate(frame);
      case FrameType.Continuation:
        return this.onContinuation(frame);
      default:
        // Unknown ones mean nothing (RFC 9113 4.1).
        this.listener.onIdleFrame();
    }
  }

  private onData({ flags, stream, bytes, start, end }: Frame): void {
    const length = end - start;
    const isPadded = (flags & Flag.Padded) !== 0;
    if (stream === 0 || (isPadded && length === 0)) return this.fail(ErrorCode.Protocol);
    const padding = isPadded ? 1 + (bytes[start] as number) : 0;
    if (padding > length) return this.fail(ErrorCode.Protocol);
    this.listener.onData(stream, {
      length,
      bytes,
      start: padding === 0 ? start : start + 1,
      end: padding === 0 ? end : end - padding + 1,
      isEnd: (flags & Flag.EndStream) !== 0,
    });
  }

  private onHeaders({ flags, stream, bytes, start, end }: Frame): void {
    let from = start;
    let to = end;
    const isPadded = (flags & Flag.Padded) !== 0;
    if (isPadded && end === start) return this.fail(ErrorCode.Protocol);
    if (isPadded) to -= bytes[from++] as number;
    if ((flags & Flag.Priority) !== 0) {
      if (from + PRIORITY_BYTES <= to && dependsOn(bytes, from) === stream)
        return this.fail(ErrorCode.Protocol);
      from += PRIORITY_BYTES;
    }
    if (stream === 0 || from > to) return this.fail(ErrorCode.Protocol);
    const isEnd = (flags & Flag.EndStream) !== 0;
    const piece = bytes.subarray(from, to);
    if ((flags & Flag.EndHeaders) !== 0) this.onBlock(stream, isEnd, piece);
    else this.block = { stream, isEnd, pieces: [Buffer.from(piece)], size: piece.length };
  }

  private onContinuation({ flags, bytes, start, end }: Frame): void {
    const block = this.block as OpenBlock;
    block.pieces.push(Buffer.from(bytes.subarray(start, end)));
    block.size += end - start;
    if (block.size > MAX_BLOCK_BYTES || block.pieces.length > MAX_CONTINUATIONS)
      return this.fail(ErrorCode.EnhanceYourCalm);
    if ((flags & Flag.EndHeaders) === 0) return;
    this.block = undefined;
    this.onBlock(block.stream, block.isEnd, Buffer.concat(block.pieces));
  }

  private onBlock(stream: number, isEnd: boolean, block: Buffer): void {
    const list: string[] = [];
    // Whatever becomes of the stream, the table has to be kept up to date.
    const reading = this.decoder.read(block, 0, block.length, list);
    if (reading === 'broken') this.fail(ErrorCode.Compression);
    else this.listener.onFields(stream, isEnd, reading === 'whole' ? list : undefined);
  }

  private onPriority({ stream, bytes, start, end }: Frame): void {
    if (end - start !== PRIORITY_BYTES) this.fail(ErrorCode.FrameSize);
    else if (stream === 0 || dependsOn(bytes, start) === stream) this.fail(ErrorCode.Protocol);
    else this.listener.onIdleFrame();
  }

  private onReset({ stream, start, end }: Frame): void {
    if (end - start !== 4) this.fail(ErrorCode.FrameSize);
    else if (stream === 0) this.fail(ErrorCode.Protocol);
    else this.listener.onReset(stream);
  }

  private onSettings({ flags, stream, bytes, start, end }: Frame): void {
    const length = end - start;
    const isAnswer = (flags & Flag.Ack) !== 0;
    if (stream !== 0) return this.fail(ErrorCode.Protocol);
    if (isAnswer ? length !== 0 : length % SETTING_BYTES !== 0)
      return this.fail(ErrorCode.FrameSize);
    if (length > MAX_SETTINGS * SETTING_BYTES) return this.fail(ErrorCode.EnhanceYourCalm);
    this.hasSettings = true;
    if (isAnswer) return;
    for (let at = start; at < end; at += SETTING_BYTES) {
      const fault = this.listener.onSetting(readWord(bytes, at) >>> 16, readWord(bytes, at + 2));
      if (fault !== ErrorCode.NoError) return this.fail(fault);
    }
    this.listener.onSettings();
  }

  private onPing({ flags, stream, bytes, start, end }: Frame): void {
    if (stream !== 0) this.fail(ErrorCode.Protocol);
    else if (end - start !== 8) this.fail(ErrorCode.FrameSize);
    else this.listener.onPing(bytes.latin1Slice(start, end), (flags & Flag.Ack) !== 0);
  }

  private onGoAway({ stream, start, end }: Frame): void {
    if (stream !== 0) this.fail(ErrorCode.Protocol);
    else if (end - start < 8) this.fail(ErrorCode.FrameSize);
    else this.listener.onGoAway();
  }

  private onWindowUpdate({ stream, bytes, start, end }: Frame): void {
    if (end - start !== 4) this.fail(ErrorCode.FrameSize);
    else this.listener.onWindow(stream, readWord(bytes, start) & MAX_WINDOW);
  }

  private fail(code: number): void {
    this.listener.onFault(code);
  }
}

const dependsOn = (bytes: Buffer, at: number): number => readWord(bytes, at) & MAX_WINDOW;
