// The answer on one stream: head, body and trailers in order, each as soon as the windows and the connection take it.
import { dataFrame, ErrorCode, MAX_FRAME_SIZE, MAX_WINDOW } from './frames.ts';
import { responseBlock, trailerBlock } from './head-text.ts';
import type { Outbox, Sender } from './outbox.ts';

/** Bytes that wait for the caller before the upstream is held back, and those at which it may go on. */
const HIGH_WATER = 65_536;
const LOW_WATER = 16_384;

export interface AnswerHome {
  readonly outbox: Outbox;
  /** What the caller takes of a stream that begins. */
  readonly streamWindow: number;
  writeHead(stream: number, block: string, isEnd: boolean): void;
  /** `isHeldBack`: the windows allowed no more. */
  onDataSent(length: number, isHeldBack: boolean): void;
}

export interface AnswerListener {
  readonly id: number;
  /** It was full, and is not any more. */
  onAnswerDrain(): void;
  /** The last frame has left. */
  onAnswerSent(): void;
}

export class AnswerQueue implements Sender {
  private readonly home: AnswerHome;
  private readonly listener: AnswerListener;
  /** Bytes of DATA that the caller takes now; below 0 after it has thought better of it. */
  private window: number;
  /** Written, but not on its way yet: it may turn out to be the whole answer. */
  private head = '';
  private body = '';
  private trailers = '';
  private isEnding = false;
  private isOver = false;
  private wasFull = false;

  constructor(home: AnswerHome, listener: AnswerListener) {
    this.home = home;
    this.listener = listener;
    this.window = home.streamWindow;
  }

  /** Bytes of the body that have not left. */
  get size(): number {
    return this.body.length;
  }

  get isFull(): boolean {
    return this.body.length >= HIGH_WATER;
  }

  setHead(text: string): void {
    this.head = text;
  }

  add(text: string): void {
    this.body += text;
  }

  setTrailers(lines: string): void {
    this.trailers = lines;
  }

  /** Not yet the answer; overtakes nothing, since there is nothing before it. */
  inform(head: string): void {
    if (!this.isOver) this.home.writeHead(this.listener.id, responseBlock(head), false);
  }

  /** All of it has been added. */
  end(): void {
    this.isEnding = true;
    this.send();
  }

  /** Nothing more is sent. */
  stop(): void {
    this.isOver = true;
    this.home.outbox.forget(this);
  }

  send(): void {
    while (this.sendOne());
    this.wasFull ||= this.isFull;
  }

  /** What is wrong with it, or `NoError`. */
  widen(change: number): number {
    this.window += change;
    return this.window <= MAX_WINDOW ? ErrorCode.NoError : ErrorCode.FlowControl;
  }

  sendOne(): boolean {
    if (this.isOver || (this.head === '' && this.body === '' && !this.isEnding)) return false;
    const { outbox } = this.home;
    if (outbox.isFull) {
      outbox.await(this);
      return false;
    }
    if (this.head !== '') this.sendHead();
    else if (this.body !== '') return this.sendBody();
    else this.sendEnd();
    return true;
  }

  private get isLastFrame(): boolean {
    return this.isEnding && this.trailers === '';
  }

  private sendHead(): void {
    const isEnd = this.body === '' && this.isLastFrame;
    const block = responseBlock(this.head, isEnd);
    this.head = '';
    this.home.writeHead(this.listener.id, block, isEnd);
    if (isEnd) this.finish();
  }

  private sendBody(): boolean {
    const { outbox } = this.home;
    const { length } = this.body;
    const most = Math.min(length, this.window, outbox.window, MAX_FRAME_SIZE);
    if (most <= 0) {
      if (this.window > 0) outbox.await(this);
      return false;
    }
    this.window -= most;
    outbox.window -= most;
    const isEnd = most === length && this.isLastFrame;
    outbox.write(dataFrame(this.listener.id, this.body.slice(0, most), isEnd));
    this.body = this.body.slice(most);
    this.home.onDataSent(most, most < Math.min(length, MAX_FRAME_SIZE));
    if (isEnd) this.finish();
    else if (this.wasFull && this.body.length <= LOW_WATER) {
      this.wasFull = false;
      this.listener.onAnswerDrain();
    }
    return true;
  }

  private sendEnd(): void {
    const { id } = this.listener;
    if (this.trailers === '') this.home.outbox.write(dataFrame(id, '', true));
    else this.home.writeHead(id, trailerBlock(this.trailers), true);
    this.finish();
  }

  private finish(): void {
    this.stop();
    this.listener.onAnswerSent();
  }
}
