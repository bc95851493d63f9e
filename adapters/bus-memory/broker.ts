// The whole bus inside one process: for tests, and for `weir dev`. Deterministic: messages arrive in the order in which
// they were published, and nothing waits for a timer but a request without an answer.
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import type { Broker, Bus, BusMessage, Subscription } from '#engine/ports/bus.ts';
import type { Log } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import type { Store } from '#engine/ports/store.ts';
import { type HubOptions, type Listener, MemoryHub } from './hub.ts';
import { createMemoryLog } from './log.ts';
import { createMemoryStore } from './store.ts';

interface Status {
  readonly connected: boolean;
  readonly server: string;
}

export interface MemoryBroker extends Broker {
  /** As if the network went: what is published is dropped, requests fail, readers hear nothing. */
  cut(): void;
  /** Back again: readers go on from where they were. */
  heal(): void;
}

export interface Hub {
  /** `user` is what the other side learns as `BusMessage.user`. */
  connect(user?: string): MemoryBroker;
  /** Deletes a stream and makes it anew: sequences start at 1 again. */
  recreateStream(name: string): void;
}

export const createMemoryHub = (options: HubOptions = {}): Hub => {
  const hub = new MemoryHub(options);
  return {
    connect: (user) => new InProcessBroker(hub, user),
    recreateStream: (name) => hub.stream(name).recreate(),
  };
};

const tooLarge = (bytes: number, limit: number) =>
  new EngineError('ERR_MESSAGE_TOO_LARGE', `${bytes} bytes; the bus takes ${limit}`, {
    source: 'caller',
  });

/** What a handler that throws is answered with: an ErrorAnswer. */
const errorAnswer = (error: unknown): Uint8Array => {
  const code = error instanceof EngineError ? error.code : 'ERR_INTERNAL';
  const message = reasonOf(error);
  return new TextEncoder().encode(JSON.stringify({ error: { code, message } }));
};

class InProcessBroker implements MemoryBroker {
  readonly bus: Bus;
  readonly warnings: readonly string[] = [];
  readonly #hub: MemoryHub;
  readonly #user: string | undefined;
  readonly #open = new Set<{ close(): void }>();
  readonly #readers = new Set<{ resume(): void; close(): void }>();
  readonly #watchers = new Set<Queue<Status>>();
  #up = true;
  #closed = false;

  constructor(hub: MemoryHub, user: string | undefined) {
    this.#hub = hub;
    this.#user = user;
    this.bus = {
      publish: (subject, data) => this.#publish(subject, data),
      subscribe: (subject) => this.#subscribe(subject),
      request: (subject, data, timeoutMs) => this.#request(subject, data, timeoutMs),
      serve: (subject, group, handler) => this.#serve(subject, group, handler),
    };
  }

  get connected(): boolean {
    return this.#up && !this.#closed;
  }

  async log(name: string): Promise<Log> {
    this.#mustBeUp();
    return createMemoryLog(this.#hub, name, {
      mustBeUp: () => this.#mustBeUp(),
      isUp: () => this.connected,
      opened: (reader) => this.#readers.add(reader),
    });
  }

  async store(bucket: string): Promise<Store> {
    this.#mustBeUp();
    return createMemoryStore(this.#hub.bucket(bucket), () => this.#mustBeUp());
  }

  status(): AsyncIterable<Status> {
    const watcher: Queue<Status> = new Queue({ onClose: () => this.#watchers.delete(watcher) });
    watcher.push(this.#status());
    if (this.#closed) watcher.close();
    else this.#watchers.add(watcher);
    return watcher;
  }

  cut(): void {
    this.#turn(false);
  }

  heal(): void {
    this.#turn(true);
    for (const reader of this.#readers) reader.resume();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const thing of [...this.#open, ...this.#readers, ...this.#watchers]) thing.close();
  }

  #turn(up: boolean): void {
    if (this.#up === up || this.#closed) return;
    this.#up = up;
    for (const watcher of this.#watchers) watcher.push(this.#status());
  }

  #status(): Status {
    return { connected: this.connected, server: 'memory' };
  }

  #mustBeUp(): void {
    if (!this.connected)
      throw new EngineError('ERR_BUS_UNREACHABLE', 'the bus is out of reach', {
        source: 'bus',
        retryable: true,
      });
  }

  #message(subject: string, data: Uint8Array): BusMessage {
    if (data.byteLength > this.#hub.maxPayload)
      throw tooLarge(data.byteLength, this.#hub.maxPayload);
    const copy = data.slice();
    return this.#user === undefined
      ? { subject, data: copy }
      : { subject, data: copy, user: this.#user };
  }

  #publish(subject: string, data: Uint8Array): void {
    const message = this.#message(subject, data);
    if (!this.connected) return;
    for (const listener of this.#hub.route(message)) listener.deliver(message);
  }

  async #request(subject: string, data: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const message = this.#message(subject, data);
    this.#mustBeUp();
    const listeners = this.#hub.route(message);
    if (listeners.length === 0)
      throw new EngineError('ERR_BUS_NO_RESPONDER', `nobody answers on ${subject}`, {
        source: 'bus',
        retryable: true,
      });
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const timer = setTimeout(
      () =>
        reject(
          new EngineError('ERR_BUS_TIMEOUT', `no answer on ${subject} in ${timeoutMs} ms`, {
            source: 'bus',
            retryable: true,
          }),
        ),
      timeoutMs,
    );
    for (const listener of listeners)
      if (listener.answer) void listener.answer(message).then(resolve);
      else listener.deliver(message);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #subscribe(subject: string): Subscription {
    const queue: Queue<BusMessage> = new Queue({ onClose: () => this.#forget(queue, listener) });
    const listener: Listener = {
      subject,
      isUp: () => this.connected,
      deliver: (message) => queue.push(message),
    };
    this.#remember(queue, listener);
    return queue;
  }

  #serve(
    subject: string,
    group: string,
    handler: (message: BusMessage) => Promise<Uint8Array>,
  ): Subscription {
    const seen: Queue<BusMessage> = new Queue({ onClose: () => this.#forget(seen, listener) });
    const answer = async (message: BusMessage): Promise<Uint8Array> => {
      try {
        return await handler(message);
      } catch (error) {
        return errorAnswer(error);
      }
    };
    const listener: Listener = {
      subject,
      group,
      isUp: () => this.connected,
      deliver: (message) => void answer(message),
      answer,
    };
    this.#remember(seen, listener);
    return seen;
  }

  #remember(queue: Queue<BusMessage>, listener: Listener): void {
    if (this.#closed) {
      queue.close();
      return;
    }
    this.#open.add(queue);
    this.#hub.listeners.add(listener);
  }

  #forget(queue: Queue<BusMessage>, listener: Listener): void {
    this.#open.delete(queue);
    this.#hub.listeners.delete(listener);
  }
}
