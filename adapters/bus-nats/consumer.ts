// One push consumer on the server and what it says. It is never repaired, only replaced: a reader that doubts its
// consumer opens another one.
import { type MsgHdrs, nanos, nuid, type Subscription } from '@nats-io/nats-core';
import type { Link } from './link.ts';

export type DeliverPolicy =
  | { readonly deliver_policy: 'all' | 'last_per_subject' | 'new' }
  | { readonly deliver_policy: 'by_start_sequence'; readonly opt_start_seq: number };

export interface Delivered {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  readonly streamSequence: number;
  readonly consumerSequence: number;
  readonly atMs: number;
  /** Messages that match and wait behind this one. */
  readonly pending: number;
}

export interface ConsumerEvents {
  message(delivered: Delivered): void;
  /** Nothing to send: the consumer has sent so many and looked at the stream up to there. */
  idle(sent: number, streamSequence: number): void;
}

export interface Opened {
  /** Where in the stream it starts. */
  readonly startsAt: number;
  /** Stored messages that it is going to send. */
  readonly pending: number;
}

export interface Consumer {
  readonly opened: Promise<Opened>;
  close(): void;
}

export const HEARTBEAT_MS = 1000;
const IDLE = 100;

/** `$JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<ns>.<pending>`, with two more tokens in front on newer servers. */
const parseReply = (reply: string) => {
  const tokens = reply.split('.');
  const at = tokens.length >= 11 ? 2 : 0;
  const number = (index: number) => Number(tokens[at + index] ?? Number.NaN);
  return {
    streamSequence: number(5),
    consumerSequence: number(6),
    atMs: Math.floor(number(7) / 1e6),
    pending: number(8),
  };
};

interface CreateAnswer {
  readonly num_pending: number;
  readonly delivered: { readonly consumer_seq: number; readonly stream_seq: number };
}

export const openConsumer = (
  link: Link,
  what: { readonly stream: string; readonly filter: string; readonly deliver: DeliverPolicy },
  events: ConsumerEvents,
): Consumer => {
  const { connection } = link;
  const name = `reader_${nuid.next()}`;
  const inbox = `${link.deliverPrefix}.${name}`;
  let closed = false;
  const subscription: Subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error || closed) return;
      if (message.headers?.code === IDLE)
        events.idle(
          Number(message.headers.get('Nats-Last-Consumer')),
          Number(message.headers.get('Nats-Last-Stream')),
        );
      else if (message.reply)
        events.message({
          subject: message.subject,
          data: message.data,
          headers: message.headers,
          ...parseReply(message.reply),
        });
    },
  });
  const create = async (): Promise<Opened> => {
    const answer = await link.api<CreateAnswer>(
      `CONSUMER.CREATE.${what.stream}.${name}.${what.filter}`,
      {
        stream_name: what.stream,
        config: {
          name,
          deliver_subject: inbox,
          filter_subject: what.filter,
          ...what.deliver,
          ack_policy: 'none',
          max_deliver: 1,
          replay_policy: 'instant',
          idle_heartbeat: nanos(HEARTBEAT_MS),
          inactive_threshold: nanos(5000),
          mem_storage: true,
          num_replicas: 1,
        },
      },
    );
    return {
      startsAt: answer.delivered.stream_seq - answer.delivered.consumer_seq + 1,
      pending: answer.num_pending + answer.delivered.consumer_seq,
    };
  };
  return {
    opened: create(),
    close: () => {
      if (closed) return;
      closed = true;
      // The server removes a consumer that nobody listens to.
      if (!subscription.isClosed()) subscription.unsubscribe();
    },
  };
};
