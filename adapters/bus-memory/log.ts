// One memory stream as a Log.
import { EngineError } from '#engine/model/errors.ts';
import type { Log } from '#engine/ports/log.ts';
import type { MemoryHub } from './hub.ts';
import { MemoryReader } from './reader.ts';

/** Same cap as on NATS, where larger values would be split into too many pieces. */
const MAX_VALUE_BYTES = 64 * 1024 * 1024;

export interface LogLink {
  mustBeUp(): void;
  isUp(): boolean;
  opened(reader: MemoryReader): void;
}

export const createMemoryLog = (hub: MemoryHub, name: string, link: LogLink): Log => {
  const stream = hub.stream(name);
  return {
    append: async ({ subject, data, expectLast, id }) => {
      link.mustBeUp();
      if (data.byteLength > MAX_VALUE_BYTES)
        throw new EngineError(
          'ERR_MESSAGE_TOO_LARGE',
          `${data.byteLength} bytes on ${subject}; the log takes ${MAX_VALUE_BYTES}`,
          { source: 'caller' },
        );
      const known = stream.known(id, hub.now());
      if (known !== undefined) return known;
      const last = stream.last(subject)?.sequence ?? 0;
      if (expectLast !== undefined && expectLast !== last)
        throw new EngineError(
          'ERR_LOG_CONFLICT',
          `${subject}: expected last sequence ${expectLast}, found ${last}`,
          { source: 'caller', retryable: true, details: { expectLast, last } },
        );
      return stream.append(subject, data.slice(), hub.now(), id);
    },
    read: (filter, from) => {
      const reader = new MemoryReader(stream, filter, from, () => link.isUp());
      link.opened(reader);
      return reader;
    },
    last: async (subject) => {
      link.mustBeUp();
      return stream.last(subject);
    },
    lastSequence: async () => {
      link.mustBeUp();
      return stream.lastSequence;
    },
    trim: async (subject, below) => {
      link.mustBeUp();
      stream.trim(subject, below);
    },
  };
};
