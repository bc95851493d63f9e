// Cuts what is read into frames. Most are whole within one read and are looked at where they are; the rest of a read waits for the next one.
import { GatheredBytes } from '../gathered-bytes.ts';
import { FRAME_HEAD, MAX_FRAME_SIZE, readWord } from './frames.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** The payload is `bytes[start, end)`, valid during the call only. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface FrameSink {
  /** False: nothing more is to be read. The frame is the reader's, and is used again. */
  onFrame(frame: Frame): boolean;
  onOversizedFrame(): void;
}

/** One for all connections: frames are looked at one at a time. */
const current: { -readonly [K in keyof Frame]: Frame[K] } = {
  type: 0,
  flags: 0,
  stream: 0,
  bytes: Buffer.alloc(0),
  start: 0,
  end: 0,
};

export class FrameReader {
  private readonly sink: FrameSink;
  private readonly pending = new GatheredBytes();
  /** Bytes that have to be there before anything more can be said. */
  private needed = FRAME_HEAD;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  read(bytes: Buffer, start: number, end: number): void {
    if (this.pending.isEmpty) {
      this.cut(bytes, start, end);
      return;
    }
    this.pending.append(bytes, start, end);
    if (this.pending.size < this.needed) return;
    const gathered = this.pending.take();
    this.cut(gathered, 0, gathered.length);
  }

  private cut(bytes: Buffer, start: number, end: number): void {
    let at = start;
    this.needed = FRAME_HEAD;
    while (end - at >= FRAME_HEAD) {
      const length = readWord(bytes, at) >>> 8;
      if (length > MAX_FRAME_SIZE) {
        this.sink.onOversizedFrame();
        return;
      }
      this.needed = FRAME_HEAD + length;
      if (end - at < this.needed) break;
      current.type = bytes[at + 3] as number;
      current.flags = bytes[at + 4] as number;
      current.stream = readWord(bytes, at + 5) & 0x7fffffff;
      current.bytes = bytes;
      current.start = at + FRAME_HEAD;
      at += this.needed;
      current.end = at;
      this.needed = FRAME_HEAD;
      if (!this.sink.onFrame(current)) return;
    }
    if (at < end) this.pending.append(bytes, at, end);
  }
}
