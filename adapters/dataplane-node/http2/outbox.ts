// What leaves one connection: frames of all its streams, gathered until the round of reads is over, within the window of the connection.
import { callAtRoundEnd } from '../event-rounds.ts';
import type { SocketWriter } from '../socket-writer.ts';
import { FIRST_WINDOW, MAX_WINDOW } from './frames.ts';

/** Bytes that are not gathered any longer. */
const MOST_GATHERED = 65_536;

/** A stream that has more to send than it may. */
export interface Sender {
  /** One frame; false if there is none that may be sent now. It waits again if that is for the connection to change. */
  sendOne(): boolean;
}

export class Outbox {
  /** Bytes of DATA that the other side takes now. */
  window = FIRST_WINDOW;
  private readonly writer: SocketWriter;
  private readonly waiting = new Set<Sender>();
  private gathered = 0;
  private isFlushAwaited = false;

  constructor(writer: SocketWriter) {
    this.writer = writer;
  }

  get isFull(): boolean {
    return this.writer.isFull;
  }

  write(frames: string): void {
    this.writer.write(frames);
    this.gathered += frames.length;
    if (this.gathered >= MOST_GATHERED) this.flush();
    else if (!this.isFlushAwaited) {
      this.isFlushAwaited = true;
      callAtRoundEnd(this);
    }
  }

  flush(): void {
    this.gathered = 0;
    this.writer.flush();
  }

  onRoundEnd(): void {
    this.isFlushAwaited = false;
    this.flush();
  }

  /** Is called as soon as the connection takes more. */
  await(sender: Sender): void {
    this.waiting.add(sender);
  }

  forget(sender: Sender): void {
    this.waiting.delete(sender);
  }

  /** False: no window may be as large as that. */
  widen(increment: number): boolean {
    this.window += increment;
    return this.window <= MAX_WINDOW;
  }

  /** A frame for each in turn, until the connection takes no more. */
  pump(): void {
    let isMoving = true;
    while (isMoving && this.waiting.size > 0) {
      isMoving = false;
      const turn = [...this.waiting];
      for (const sender of turn) {
        if (this.isFull) return;
        if (!this.waiting.delete(sender) || !sender.sendOne()) continue;
        this.waiting.add(sender);
        isMoving = true;
      }
    }
  }
}
