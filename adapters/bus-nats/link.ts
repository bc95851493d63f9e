// What the parts of the broker share: the connection, whether it is up, and requests with the engine's errors.
import { type ApiError, JetStreamApiError } from '@nats-io/jetstream';
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import { EngineError } from '#engine/model/errors.ts';
import { OWN_API } from './credentials.ts';
import { toEngineError, unreachable } from './errors.ts';

const API_TIMEOUT_MS = 5000;

export class Link {
  readonly connection: NatsConnection;
  /** Consumers send to subjects below it. */
  readonly deliverPrefix: string;
  readonly log: (line: string) => void;
  readonly #apiPrefix: string;
  readonly #opened = new Set<{ close(): void }>();
  readonly #onUp = new Set<() => void>();
  #up = true;

  constructor(
    connection: NatsConnection,
    options: {
      readonly apiPrefix: string;
      readonly deliverPrefix: string;
      readonly log: (line: string) => void;
    },
  ) {
    this.connection = connection;
    this.deliverPrefix = options.deliverPrefix;
    this.#apiPrefix = options.apiPrefix;
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
      return await this.connection.request(subject, data.slice(), {
        timeout: options.timeoutMs ?? API_TIMEOUT_MS,
        ...(options.headers ? { headers: options.headers } : {}),
      });
    } catch (error) {
      throw toEngineError(error, subject);
    }
  }

  /** Whether JetStream is this user's own to manage; agents find a few of its calls under another name. */
  get mayManage(): boolean {
    return this.#apiPrefix === OWN_API;
  }

  apiSubject(call: string): string {
    return `${this.#apiPrefix}.${call}`;
  }

  /** A call of JetStream's API. Its refusals are thrown as JetStreamApiError. */
  api<T>(call: string, body?: unknown): Promise<T> {
    const data = new TextEncoder().encode(body === undefined ? '' : JSON.stringify(body));
    return this.acknowledged(this.apiSubject(call), data);
  }

  /** Publishes and waits for JetStream's word. */
  async acknowledged<T>(subject: string, data: Uint8Array, headers?: MsgHdrs): Promise<T> {
    const answer = await this.request(subject, data, headers ? { headers } : {});
    const value = answer.json<T & { error?: ApiError }>();
    if (value.error) throw new JetStreamApiError(value.error);
    return value;
  }
}
