// What the parts of the broker share: the connection, whether it is up, and requests with the engine's errors.
import { JetStreamApiError } from '@nats-io/jetstream';
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import { EngineError } from '#engine/model/errors.ts';
import { toEngineError, unreachable } from './errors.ts';

const API_TIMEOUT_MS = 5000;

export class Link {
  readonly connection: NatsConnection;
  readonly inboxPrefix: string;
  readonly log: (line: string) => void;
  readonly #opened = new Set<{ close(): void }>();
  readonly #onUp = new Set<() => void>();
  #up = true;

  constructor(
    connection: NatsConnection,
    options: { readonly inboxPrefix: string; readonly log: (line: string) => void },
  ) {
    this.connection = connection;
    this.inboxPrefix = options.inboxPrefix;
    this.log = options.log;
  }

  get isUp(): boolean {
    return this.#up && !this.connection.isClosed();
  }

  turn(up: boolean): void {
    this.#up = up;
    if (up) for (const listener of this.#onUp) listener();
  }

  /** Called after every reconnect, until the returned function is. */
  onUp(listener: () => void): () => void {
    this.#onUp.add(listener);
    return () => this.#onUp.delete(listener);
  }

  /** Closed together with the broker, unless it was forgotten before. */
  keep(thing: { close(): void }): void {
    this.#opened.add(thing);
  }

  forget(thing: { close(): void }): void {
    this.#opened.delete(thing);
  }

  closeAll(): void {
    for (const thing of this.#opened) thing.close();
    this.#opened.clear();
  }

  get maxPayload(): number {
    return this.connection.info?.max_payload ?? 1024 * 1024;
  }

  mustFit(subject: string, bytes: number): void {
    if (bytes > this.maxPayload)
      throw new EngineError(
        'ERR_MESSAGE_TOO_LARGE',
        `${subject}: ${bytes} bytes; the server takes ${this.maxPayload}`,
        { source: 'caller' },
      );
  }

  async request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs?: number; readonly headers?: MsgHdrs } = {},
  ): Promise<Msg> {
    if (!this.isUp) throw unreachable(subject);
    try {
      return await this.connection.request(subject, data, {
        timeout: options.timeoutMs ?? API_TIMEOUT_MS,
        ...(options.headers ? { headers: options.headers } : {}),
      });
    } catch (error) {
      throw toEngineError(error, subject);
    }
  }

  /** A call of JetStream's API. Its refusals are thrown as JetStreamApiError. */
  async api<T>(subject: string, body?: unknown, headers?: MsgHdrs): Promise<T> {
    const data =
      body instanceof Uint8Array
        ? body
        : new TextEncoder().encode(body === undefined ? '' : JSON.stringify(body));
    const answer = await this.request(subject, data, headers ? { headers } : {});
    const value = answer.json<
      T & { error?: { code: number; err_code: number; description: string } }
    >();
    if (value.error) throw new JetStreamApiError(value.error);
    return value;
  }
}
