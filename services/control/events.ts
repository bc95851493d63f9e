// Tells everybody what happened: CloudEvents on the event stream.
import { randomUUID } from 'node:crypto';
import type { Event, EventType } from '#engine/model/event.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import type { Log } from '#engine/ports/log.ts';
import { decodeJson, encodeJson } from './codec.ts';
import type { Time } from './time.ts';

interface Told {
  readonly type: EventType;
  /** What it is about: `Route/bibby/catalog`, an agent's name, a rollout's id, ... */
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The same happening told twice has the same id. Default: a new one. */
  readonly id?: string;
}

export interface Events {
  /** Never throws and never waits: an event that cannot be stored is reported and dropped. */
  tell(told: Told): void;
  /**
   * As `tell`, but not again if the last event of its type has the same id, nor if one of the last two minutes has: a leader that
   * was held up in the middle of it does not tell what its successor has told. Resolves once stored.
   */
  tellOnce(told: Told & { readonly id: string }): Promise<void>;
}

export const createEvents = (options: {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly instance: string;
  readonly time: Time;
  readonly onError: (where: string, error: unknown) => void;
}): Events => {
  const { log, subjects, instance, time, onError } = options;
  const eventOf = ({ type, subject, data, id }: Told): Event => ({
    specversion: '1.0',
    id: id ?? randomUUID(),
    type: `weir.${type}`,
    source: `/control/${instance}`,
    subject,
    time: new Date(time.now()).toISOString(),
    datacontenttype: 'application/json',
    data,
  });
  const store = async (told: Told): Promise<void> => {
    try {
      const { type, id } = told;
      const data = encodeJson(eventOf(told));
      await log.append({
        subject: subjects.event(type),
        data,
        ...(id === undefined ? {} : { id }),
      });
    } catch (error) {
      onError(`event ${told.type}`, error);
    }
  };
  return {
    tell: (told) => void store(told),
    tellOnce: async (told) => {
      const last = await log.last(subjects.event(told.type));
      if (last && (decodeJson(last.data, 'event') as Event).id === told.id) return;
      await store(told);
    },
  };
};
