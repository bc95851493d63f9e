// How each stream is made. Existing ones are taken as they are, but for settings that Weir relies on.
import { nanos } from '@nats-io/nats-core';
import { EngineError } from '#engine/model/errors.ts';
import { streams } from '#engine/model/subjects.ts';
import { apiCode, jetStreamCodes } from './errors.ts';
import type { Link } from './link.ts';

const DAY_MS = 86_400_000;

interface StreamSettings {
  readonly subjects: readonly string[];
  readonly max_msgs_per_subject: number;
  readonly max_age: number;
}

const settings: Readonly<Record<string, StreamSettings>> = {
  [streams.policy]: { subjects: ['weir.*.policy.>'], max_msgs_per_subject: -1, max_age: 0 },
  [streams.control]: { subjects: ['weir.*.control.>'], max_msgs_per_subject: 1, max_age: 0 },
  [streams.events]: {
    subjects: ['weir.*.event.>'],
    max_msgs_per_subject: -1,
    max_age: nanos(7 * DAY_MS),
  },
};

export interface StreamInfo {
  readonly created: string;
  readonly config: StreamSettings & { readonly num_replicas: number };
  readonly state: { readonly last_seq: number; readonly first_seq: number };
}

const configOf = (name: string) => {
  const own = settings[name];
  if (!own)
    throw new EngineError('ERR_CONFIG_INVALID', `there is no stream called ${name}`, {
      source: 'caller',
    });
  return {
    name,
    ...own,
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: -1,
    num_replicas: 1,
    allow_direct: true,
    duplicate_window: nanos(120_000),
  };
};

export const streamInfo = (link: Link, name: string): Promise<StreamInfo> =>
  link.api<StreamInfo>(`STREAM.INFO.${name}`);

/** Makes sure the stream is there and as Weir needs it. ERR_BUS_DENIED where the role may not look or make. */
export const ensureStream = async (link: Link, name: string): Promise<StreamInfo> => {
  const wanted = configOf(name);
  try {
    const found = await streamInfo(link, name);
    const isRight =
      found.config.max_msgs_per_subject === wanted.max_msgs_per_subject &&
      wanted.subjects.every((subject) => found.config.subjects.includes(subject));
    if (isRight) return found;
    return await link.api<StreamInfo>(`STREAM.UPDATE.${name}`, {
      ...found.config,
      subjects: wanted.subjects,
      max_msgs_per_subject: wanted.max_msgs_per_subject,
    });
  } catch (error) {
    if (apiCode(error) !== jetStreamCodes.streamNotFound) throw error;
  }
  try {
    return await link.api<StreamInfo>(`STREAM.CREATE.${name}`, wanted);
  } catch (error) {
    // Somebody else made it in between.
    if (apiCode(error) === jetStreamCodes.streamNameInUse) return streamInfo(link, name);
    throw error;
  }
};
