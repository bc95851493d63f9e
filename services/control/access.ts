// Who may ask for what: bearer tokens over HTTP, users of the bus over the bus; and what an agent may say of itself.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { BusUser } from '#adapters/bus-nats/users.ts';
import { type Caller, type Role, roles } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { Heartbeat } from '#engine/model/telemetry.ts';

const tokenFile = Type.Object({
  tokens: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1 }),
      role: Type.Enum([...roles]),
      token: Type.String({ minLength: 16 }),
    }),
  ),
});
const validTokenFile = Compile(tokenFile);

export type Token = Static<typeof tokenFile>['tokens'][number];

export interface Access {
  /** Undefined for a token that nobody has. */
  byToken(token: string): Caller | undefined;
  /** A user of the bus; undefined when the server does not say who it is, or it has no role. */
  byUser(user: string | undefined): Caller | undefined;
  /** Whether an agent may be of this scope and announce this workload. An agent that is not listed is not restricted. */
  mayAnnounce(beat: Pick<Heartbeat, 'agent' | 'scope' | 'workload'>): boolean;
}

const digest = (token: string): string => createHash('sha256').update(token).digest('hex');
const isRole = (role: string): role is Role => (roles as readonly string[]).includes(role);

/** Both lists are asked for at every question, so they may change while we run. */
export const createAccess = (lists: {
  readonly tokens: () => readonly Token[];
  readonly users: () => readonly BusUser[];
}): Access => ({
  // Compared by digest, so the time it takes says nothing about the tokens.
  byToken: (token) => {
    const wanted = digest(token);
    const found = lists.tokens().find((one) => digest(one.token) === wanted);
    return found && { name: found.name, role: found.role };
  },
  byUser: (name) => {
    const user = lists.users().find((one) => one.name === name);
    return user && isRole(user.role) ? { name: user.name, role: user.role } : undefined;
  },
  mayAnnounce: ({ agent, scope, workload }) => {
    const user = lists.users().find((one) => one.name === agent && one.role === 'agent');
    if (!user) return true;
    const announced = workload && `${workload.namespace}/${workload.name}`;
    return (
      (user.scope === undefined || user.scope === scope) &&
      (announced === undefined || user.workload === undefined || user.workload === announced)
    );
  },
});

export const mayCall = (caller: Caller, needed: Role): boolean =>
  roles.indexOf(caller.role) >= roles.indexOf(needed);

/** Throws ERR_CONFIG_INVALID with one sentence. */
export const readTokens = (path: string): readonly Token[] => {
  const refuse = (why: string, cause?: unknown) =>
    new EngineError('ERR_CONFIG_INVALID', `The token file ${path} ${why}.`, {
      source: 'caller',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw refuse('cannot be read as JSON (WEIR_TOKENS)', cause);
  }
  if (!validTokenFile.Check(value))
    throw refuse(
      `must hold {"tokens": [{"name", "role", "token"}]} with roles ${roles.join(', ')}`,
    );
  return value.tokens;
};
