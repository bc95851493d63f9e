// Who is behind a public nkey: the list that set-up writes beside the server's configuration.
import { readFileSync, statSync } from 'node:fs';
import { EngineError } from '#engine/model/errors.ts';

export interface BusUser {
  readonly name: string;
  readonly role: 'control' | 'agent' | 'viewer' | 'operator' | 'admin';
  readonly publicKey: string;
  /** Agents: the scope that it may read and speak for. */
  readonly scope?: string;
  /** Agents: `namespace/name` of the application that it may announce. */
  readonly workload?: string;
}

export interface BusUsers {
  readonly mesh: string;
  readonly users: readonly BusUser[];
}

export const readBusUsers = (file: string): BusUsers => {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as BusUsers;
    if (!Array.isArray(found.users)) throw new Error('no member "users"');
    return found;
  } catch (cause) {
    throw new EngineError('ERR_CONFIG_INVALID', `the list of bus users ${file} cannot be read`, {
      source: 'caller',
      cause,
    });
  }
};

/** For `connectNats({ userName })`. Reads the file again when it has changed, so later users are known too. */
export const createUserNames = (file: string): ((publicKey: string) => string | undefined) => {
  let readAtMs = Number.NaN;
  let names = new Map<string, string>();
  return (publicKey) => {
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: Number.NaN };
    if (mtimeMs !== readAtMs && !Number.isNaN(mtimeMs)) {
      names = new Map(readBusUsers(file).users.map((user) => [user.publicKey, user.name]));
      readAtMs = mtimeMs;
    }
    return names.get(publicKey);
  };
};
