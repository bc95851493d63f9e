// While a queue of callers waits to be let in, those who are in already are not read from: the runtime accepts one connection per turn of its
// loop, and a turn in which nobody is served takes a hundredth of one in which hundreds are.

/** Has been read once and is not read again until the rush is over. */
interface Held {
  onRushEnd(): void;
  /** `onRushEnd` threw. */
  onDefect(error: unknown): void;
}

/** Those inside are served for so long before a rush holds them up again. */
const MIN_CALM_MS = 100;

export class Rush {
  isOn = false;
  private held: Held[] = [];
  /** The queue that it is for. There is one per listener, and they do not take turns in holding everybody up. */
  private queue: object | undefined;
  private calmUntil = Number.NEGATIVE_INFINITY;

  begin(queue: object, now: number): void {
    if (this.isOn || now < this.calmUntil) return;
    this.isOn = true;
    this.queue = queue;
  }

  hold(connection: Held): void {
    this.held.push(connection);
  }

  /** Of that queue; nothing happens if it is for another one. */
  end(queue: object, now: number): void {
    if (!this.isOn || queue !== this.queue) return;
    this.isOn = false;
    this.queue = undefined;
    this.calmUntil = now + MIN_CALM_MS;
    const { held } = this;
    this.held = [];
    for (const connection of held) goOn(connection);
  }
}

/** Nobody waits for ever because of somebody else. */
const goOn = (connection: Held): void => {
  try {
    connection.onRushEnd();
  } catch (error) {
    connection.onDefect(error);
  }
};
