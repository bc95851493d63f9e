// One memory bucket as a Store.
import { EngineError } from '#engine/model/errors.ts';
import type { Store } from '#engine/ports/store.ts';
import type { Bucket } from './hub.ts';

export const createMemoryStore = (bucket: Bucket, mustBeUp: () => void): Store => {
  const write = (key: string, value: Uint8Array): number => {
    if (key === '')
      throw new EngineError('ERR_REQUEST_INVALID', 'a key cannot be empty', { source: 'caller' });
    bucket.revision += 1;
    bucket.cells.set(key, { value: value.slice(), revision: bucket.revision });
    return bucket.revision;
  };
  return {
    get: async (key) => {
      mustBeUp();
      const cell = bucket.cells.get(key);
      return cell && { key, ...cell };
    },
    entries: async () => {
      mustBeUp();
      return [...bucket.cells].map(([key, cell]) => ({ key, ...cell }));
    },
    put: async (key, value) => {
      mustBeUp();
      return write(key, value);
    },
    create: async (key, value) => {
      mustBeUp();
      if (bucket.cells.has(key))
        throw new EngineError('ERR_STORE_CONFLICT', `key ${key} exists`, {
          source: 'caller',
          retryable: false,
        });
      return write(key, value);
    },
    delete: async (key) => {
      mustBeUp();
      bucket.cells.delete(key);
    },
  };
};
