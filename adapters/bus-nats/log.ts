// A JetStream stream as the Log port.
import { nuid } from '@nats-io/nats-core';
import { EngineError } from '#engine/model/errors.ts';
import type { Log, LogEntry } from '#engine/ports/log.ts';
import { apiCode, jetStreamCodes, toEngineError } from './errors.ts';
import type { Link } from './link.ts';
import { Assembler, everyPart, MAX_VALUE_BYTES, marksOf, partSubject, split } from './parts.ts';
import { NatsReader } from './reader.ts';
import { ensureStream, streamInfo } from './streams.ts';

const MESSAGE_ID = 'Nats-Msg-Id';
const EXPECT_LAST = 'Nats-Expected-Last-Subject-Sequence';

interface Stored {
  readonly subject: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: Parameters<typeof marksOf>[0];
  readonly atMs: number;
}

export const openNatsLog = async (link: Link, name: string): Promise<Log> => {
  const log = new NatsLog(link, name);
  await log.make();
  return log;
};

class NatsLog implements Log {
  readonly #link: Link;
  readonly #name: string;
  #mayManage: boolean;

  constructor(link: Link, name: string) {
    this.#link = link;
    this.#name = name;
    this.#mayManage = link.mayManage;
  }

  /** Whether the stream is there now, as far as this role can see to it. */
  async make(): Promise<boolean> {
    if (!this.#mayManage) return false;
    try {
      await ensureStream(this.#link, this.#name);
      return true;
    } catch (error) {
      const failure = toEngineError(error, `stream ${this.#name}`);
      if (failure.code !== 'ERR_BUS_DENIED') throw failure;
      this.#mayManage = false;
      return false;
    }
  }

  async append({ subject, data, expectLast, id }: Parameters<Log['append']>[0]): Promise<number> {
    if (data.byteLength > MAX_VALUE_BYTES)
      throw new EngineError(
        'ERR_MESSAGE_TOO_LARGE',
        `${data.byteLength} bytes on ${subject}; the log takes ${MAX_VALUE_BYTES}`,
        { source: 'caller' },
      );
    const parts = split(subject, data, {
      maxPayload: this.#link.maxPayload,
      setId: () => nuid.next(),
    });
    let sequence = 0;
    if (id !== undefined && parts.length === 1) parts[0]?.headers.set(MESSAGE_ID, id);
    for (const part of parts) {
      const isHead = part.subject === subject;
      if (isHead && expectLast !== undefined) part.headers.set(EXPECT_LAST, String(expectLast));
      sequence = await this.#store(part);
    }
    return sequence;
  }

  async #store(part: ReturnType<typeof split>[number]): Promise<number> {
    try {
      return await this.#publish(part);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'ERR_BUS_NO_RESPONDER')) throw error;
    }
    // Nobody took it: somebody deleted the stream.
    await this.make();
    return await this.#publish(part);
  }

  async #publish(part: ReturnType<typeof split>[number]): Promise<number> {
    try {
      const ack = await this.#link.acknowledged<{ stream: string; seq: number }>(
        part.subject,
        part.data,
        part.headers,
      );
      return ack.seq;
    } catch (error) {
      throw toEngineError(error, `append to ${this.#name}: ${part.subject}`);
    }
  }

  read(filter: string, from: Parameters<Log['read']>[1]): NatsReader {
    return new NatsReader({
      link: this.#link,
      stream: this.#name,
      filter,
      from,
      makeStream: () => this.make(),
    });
  }

  async last(subject: string): Promise<LogEntry | undefined> {
    const head = await this.#lastStored(subject);
    const marks = marksOf(head?.headers);
    if (!head) return undefined;
    if (!marks) return entryOf(head, head.data);
    const assembler = new Assembler();
    for (let index = 0; index < marks.count - 1; index += 1) {
      const part = await this.#lastStored(partSubject(subject, index));
      if (part) assembler.take(part.subject, part.data, marksOf(part.headers));
    }
    const data = assembler.take(subject, head.data, marks);
    return data && entryOf(head, data);
  }

  async #lastStored(subject: string): Promise<Stored | undefined> {
    const answer = await this.#link.request(
      this.#link.apiSubject(`DIRECT.GET.${this.#name}.${subject}`),
      new Uint8Array(),
    );
    const { headers } = answer;
    if (headers?.code === 404) return undefined;
    if (!headers || headers.code >= 300)
      throw toEngineError(
        new Error(headers?.description ?? 'answer without headers'),
        `read ${subject}`,
      );
    return {
      subject,
      sequence: Number(headers.get('Nats-Sequence')),
      data: answer.data,
      headers,
      atMs: Date.parse(headers.get('Nats-Time-Stamp')),
    };
  }

  async lastSequence(): Promise<number> {
    try {
      return (await streamInfo(this.#link, this.#name)).state.last_seq;
    } catch (error) {
      if (apiCode(error) === jetStreamCodes.streamNotFound) return 0;
      throw toEngineError(error, `stream ${this.#name}`);
    }
  }

  async trim(subject: string, below: number): Promise<void> {
    try {
      for (const filter of [subject, everyPart(subject)])
        await this.#link.api(`STREAM.PURGE.${this.#name}`, { filter, seq: below });
    } catch (error) {
      throw toEngineError(error, `trim ${subject}`);
    }
  }
}

const entryOf = ({ subject, sequence, atMs }: Stored, data: Uint8Array): LogEntry => ({
  subject,
  sequence,
  data,
  atMs,
});
