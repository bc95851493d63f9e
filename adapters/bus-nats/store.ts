// A JetStream key-value bucket as the Store port.
import { type KV, Kvm } from '@nats-io/kv';
import { EngineError } from '#engine/model/errors.ts';
import type { Store, StoreEntry } from '#engine/ports/store.ts';
import { apiCode, jetStreamCodes, toEngineError, unreachable } from './errors.ts';
import type { Link } from './link.ts';
import { NatsReader } from './reader.ts';

/** Any text becomes a legal key, readable where it was legal already. */
const encodeKey = (key: string): string =>
  key.replace(/[^A-Za-z0-9_/-]/gu, (character) =>
    [...new TextEncoder().encode(character)]
      .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );

const decodeKey = (key: string): string =>
  decodeURIComponent(key.replaceAll('%', '%25').replaceAll('=', '%'));

export const openNatsStore = async (link: Link, bucket: string): Promise<Store> => {
  if (!link.isUp) throw unreachable(`bucket ${bucket}`);
  const attempt = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    if (!link.isUp) throw unreachable(`${what} in ${bucket}`);
    try {
      return await act();
    } catch (error) {
      throw toEngineError(error, `${what} in ${bucket}`);
    }
  };
  const kv: KV = await attempt('open', () =>
    new Kvm(link.connection).create(bucket, { history: 1 }),
  );
  const mustBeKey = (key: string, value?: Uint8Array): string => {
    if (key === '')
      throw new EngineError('ERR_REQUEST_INVALID', 'a key cannot be empty', { source: 'caller' });
    link.mustFit(`${bucket}/${key}`, value?.byteLength ?? 0);
    return encodeKey(key);
  };
  return {
    get: (key) =>
      attempt(`get ${key}`, async () => {
        const entry = await kv.get(mustBeKey(key));
        if (entry?.operation !== 'PUT') return undefined;
        return { key, value: entry.value, revision: entry.revision };
      }),
    put: (key, value) => attempt(`put ${key}`, () => kv.put(mustBeKey(key, value), value)),
    create: (key, value) =>
      attempt(`create ${key}`, async () => {
        try {
          return await kv.create(mustBeKey(key, value), value);
        } catch (error) {
          if (apiCode(error) !== jetStreamCodes.wrongLastSequence) throw error;
          throw new EngineError('ERR_STORE_CONFLICT', `key ${key} exists`, {
            source: 'caller',
            cause: error,
          });
        }
      }),
    delete: (key) => attempt(`delete ${key}`, () => kv.delete(mustBeKey(key))),
    entries: () => attempt('list', () => readAll(link, bucket)),
  };
};

const LIST_TIMEOUT_MS = 10_000;

/** The library's own listing never ends if the server goes meanwhile; a reader of ours goes on, and has a deadline. */
const readAll = async (link: Link, bucket: string): Promise<readonly StoreEntry[]> => {
  const prefix = `$KV.${bucket}.`;
  const live = new Map<string, StoreEntry>();
  const reader = new NatsReader({
    link,
    stream: `KV_${bucket}`,
    filter: `${prefix}>`,
    from: 'last',
    makeStream: async () => false,
    skip: (headers) => headers?.has('KV-Operation') === true,
  });
  let isComplete = false;
  const timer = setTimeout(() => reader.close(), LIST_TIMEOUT_MS);
  void reader.caughtUp.then(() => {
    isComplete = performance.now() < deadline;
    reader.close();
  });
  const deadline = performance.now() + LIST_TIMEOUT_MS;
  for await (const { subject, data, sequence } of reader) {
    const key = decodeKey(subject.slice(prefix.length));
    live.set(key, { key, value: data, revision: sequence });
  }
  clearTimeout(timer);
  if (!isComplete)
    throw new EngineError('ERR_BUS_TIMEOUT', `no complete answer in ${LIST_TIMEOUT_MS} ms`, {
      source: 'bus',
      retryable: true,
    });
  return [...live.values()];
};
