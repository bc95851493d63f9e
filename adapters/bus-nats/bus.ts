// Core NATS as the Bus port.
import { type Msg, type MsgHdrs, PermissionViolationError } from '@nats-io/nats-core';
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import type { Bus, BusMessage, Subscription } from '#engine/ports/bus.ts';
import { Queue } from '#engine/ports/queue.ts';
import { unreachable } from './errors.ts';
import type { Link } from './link.ts';

/** Core messages may be lost; a reader that far behind loses the oldest. */
const WAITING_MESSAGES = 65_536;

/** The server writes it where a request crosses from one account into another, over whatever the sender put there. */
const REQUEST_INFO = 'Nats-Request-Info';

export type UserName = (publicKey: string) => string | undefined;

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** What a handler that throws is answered with: an ErrorAnswer. */
const errorAnswer = (error: unknown): Uint8Array => {
  const code = error instanceof EngineError ? error.code : 'ERR_INTERNAL';
  const message = reasonOf(error);
  return encode({ error: { code, message } });
};

const userOf = (headers: MsgHdrs | undefined, userName: UserName): string | undefined => {
  const info = headers?.get(REQUEST_INFO);
  if (!info) return undefined;
  try {
    const { user, acc } = JSON.parse(info) as { user?: unknown; acc?: unknown };
    return typeof user === 'string' && typeof acc === 'string' ? userName(user) : undefined;
  } catch {
    return undefined;
  }
};

export const createNatsBus = (link: Link, userName: UserName): Bus => {
  const { connection } = link;
  const listen = (
    subject: string,
    options: { readonly queue?: string },
    onMessage: (message: Msg) => void,
  ): { close(): void } => {
    const subscription = connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (!error) onMessage(message);
        else if (error instanceof PermissionViolationError)
          link.log(`nats-server does not let this user listen on ${subject}`);
      },
    });
    return {
      close: () => {
        if (!subscription.isClosed()) subscription.unsubscribe();
      },
    };
  };
  const seen = (message: Msg): BusMessage => {
    const user = userOf(message.headers, userName);
    const { subject, data } = message;
    return user === undefined ? { subject, data } : { subject, data, user };
  };
  const open = (
    subject: string,
    options: { readonly queue?: string },
    onMessage: (message: Msg, queue: Queue<BusMessage>) => void,
  ): Subscription => {
    if (connection.isClosed()) {
      const ended = new Queue<BusMessage>();
      ended.close();
      return ended;
    }
    const listener = listen(subject, options, (message) => onMessage(message, queue));
    const queue: Queue<BusMessage> = new Queue({
      limit: WAITING_MESSAGES,
      onClose: () => {
        listener.close();
        link.forget(queue);
      },
    });
    link.keep(queue);
    return queue;
  };
  return {
    publish: (subject, data) => {
      link.mustFit(subject, data.byteLength);
      // The client would keep it for later; a late sample or ack is worse than a lost one. It sends later anyway, so it
      // gets bytes that nobody changes meanwhile.
      if (link.isUp) connection.publish(subject, data.slice());
    },
    subscribe: (subject) => open(subject, {}, (message, queue) => queue.push(seen(message))),
    request: async (subject, data, timeoutMs) => {
      if (!link.isUp) throw unreachable(subject);
      link.mustFit(subject, data.byteLength);
      return (await link.request(subject, data, { timeoutMs })).data;
    },
    serve: (subject, group, handler) =>
      open(
        subject,
        { queue: group },
        (message) => void answer(link, message, () => handler(seen(message))),
      ),
  };
};

const answer = async (
  link: Link,
  message: Msg,
  handle: () => Promise<Uint8Array>,
): Promise<void> => {
  let data: Uint8Array;
  try {
    data = await handle();
    link.mustFit(message.subject, data.byteLength);
  } catch (error) {
    data = errorAnswer(error);
  }
  if (link.isUp && message.reply) message.respond(data);
};
