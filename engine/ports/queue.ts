// What an adapter hands out as an AsyncIterable: filled from one side, emptied by one reader from the other.
export class Queue<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #items: T[] = [];
  readonly #limit: number;
  readonly #onClose: (() => void) | undefined;
  readonly #onPull: (() => void) | undefined;
  #waiting: ((result: IteratorResult<T>) => void)[] = [];
  #closed = false;

  /** Beyond `limit` waiting items the oldest is dropped. `onPull` is called whenever the reader asks for one more. */
  constructor(
    options: {
      readonly limit?: number;
      readonly onClose?: () => void;
      readonly onPull?: () => void;
    } = {},
  ) {
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
    this.#onClose = options.onClose;
    this.#onPull = options.onPull;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#closed) return;
    const reader = this.#waiting.shift();
    if (reader) {
      reader({ done: false, value: item });
      return;
    }
    this.#items.push(item);
    if (this.#items.length > this.#limit) this.#items.shift();
  }

  /** What waits is still handed out before the iteration ends. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const reader of this.#waiting) reader({ done: true, value: undefined });
    this.#waiting = [];
    this.#onClose?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    this.#onPull?.();
    if (this.#items.length > 0)
      return Promise.resolve({ done: false, value: this.#items.shift() as T });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }
}
