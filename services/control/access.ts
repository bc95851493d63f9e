// Who may ask for what: bearer tokens over HTTP, users of the bus over the bus.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Caller, type Role, roles } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';

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

export interface Access {
  /** Undefined for a token that nobody has. */
  byToken(token: string): Caller | undefined;
  /** A user of the bus; undefined when the server does not say who it is, or it has no role. */
  byUser(user: string | undefined): Caller | undefined;
}

export interface AccessOptions {
  readonly tokens: Static<typeof tokenFile>['tokens'];
  /** Roles of the users of the bus. */
  readonly users: Readonly<Record<string, Role>>;
}

const digest = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Tokens are looked up by digest, so the time it takes says nothing about them. */
export const createAccess = ({ tokens, users }: AccessOptions): Access => {
  const callers = new Map<string, Caller>();
  for (const { name, role, token } of tokens) callers.set(digest(token), { name, role });
  const roleOf = new Map(Object.entries(users));
  return {
    byToken: (token) => callers.get(digest(token)),
    byUser: (user) => {
      const role = user === undefined ? undefined : roleOf.get(user);
      return user !== undefined && role ? { name: user, role } : undefined;
    },
  };
};

export const mayCall = (caller: Caller, needed: Role): boolean =>
  roles.indexOf(caller.role) >= roles.indexOf(needed);

/** Throws ERR_CONFIG_INVALID with one sentence. */
export const readTokens = (path: string): AccessOptions['tokens'] => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new EngineError('ERR_CONFIG_INVALID', `the token file ${path} cannot be read as JSON`, {
      source: 'caller',
      cause,
    });
  }
  if (!validTokenFile.Check(value))
    throw new EngineError(
      'ERR_CONFIG_INVALID',
      `the token file ${path} must hold {"tokens": [{"name", "role", "token"}]} with roles ${roles.join(', ')}`,
      { source: 'caller' },
    );
  return value.tokens;
};
