// Makes an installation, or completes one: what is there is kept, what is missing is made.
import { randomBytes } from 'node:crypto';
import { createUser } from '@nats-io/nkeys';
import { formatCredentials, OWN_API, parseCredentials } from '#adapters/bus-nats/credentials.ts';
import type { BusUser, BusUsers } from '#adapters/bus-nats/users.ts';
import {
  createSigner,
  createVerifier,
  generateSigningKeys,
} from '#adapters/signer-ed25519/signer.ts';
import { roles } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import { isScope } from '#engine/model/scope.ts';
import { ensureDevIssuer } from './dev-issuer.ts';
import { type Home, homeAt, readIfThere, writeWhole } from './home.ts';
import { AGENTS_API, renderNatsConfig } from './nats-config.ts';
import { reloadNatsServer } from './nats-server.ts';

export interface AgentUser {
  readonly name: string;
  /** `edge.<gateway>` or `sidecar.<namespace>.<workload>` */
  readonly scope: string;
  /** `namespace/name` of the application beside it. */
  readonly workload?: string;
}

export interface InstallOptions {
  readonly home: string;
  readonly mesh?: string;
  readonly agents?: readonly AgentUser[];
  /** Written into the server's configuration. Default 4222; `startNatsServer` chooses its own. */
  readonly natsPort?: number;
}

export interface Installation {
  readonly home: string;
  readonly mesh: string;
  /** Credentials files by user. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly natsConfig: string;
  readonly signingKey: string;
  readonly trustedKeys: string;
  readonly tokens: string;
  readonly users: string;
}

const DEFAULT_PORT = 4222;
const people = roles.map((role) => ({ name: role, role }));
const reserved: ReadonlySet<string> = new Set(['control', ...roles]);

const refuse = (what: string) => new EngineError('ERR_CONFIG_INVALID', what, { source: 'caller' });

export const install = async (options: InstallOptions): Promise<Installation> => {
  const home = homeAt(options.home);
  const known = await knownUsers(home);
  const mesh = options.mesh ?? known?.mesh ?? 'default';
  if (!/^[A-Za-z0-9_-]+$/.test(mesh))
    throw refuse(`the mesh name "${mesh}" has other characters than letters, digits, _ and -`);
  const agents = mergeAgents(known?.users ?? [], options.agents ?? []);
  const users: BusUser[] = [];
  for (const user of [{ name: 'control', role: 'control' as const }, ...people, ...agents])
    users.push({ ...user, publicKey: await ensureCredentials(home, user) });
  await ensureSigningKeys(home);
  await ensureDevIssuer(home);
  await ensureTokens(home);
  await writeUsers(home, { mesh, users }, options.natsPort);
  return {
    home: home.path,
    mesh,
    credentials: Object.fromEntries(users.map(({ name }) => [name, home.credentials(name)])),
    natsConfig: home.natsConfig,
    signingKey: home.signingKey,
    trustedKeys: home.trustedKeys,
    tokens: home.tokens,
    users: home.users,
  };
};

/** A running server learns of it at once; connections of others stay. */
export const addAgent = async (
  options: AgentUser & { readonly home: string },
): Promise<{ readonly credentials: string; readonly isReloaded: boolean }> => {
  const { home, ...agent } = options;
  const { credentials } = await install({ home, agents: [agent] });
  const file = credentials[agent.name] ?? '';
  return { credentials: file, isReloaded: await reloadNatsServer({ home }) };
};

const knownUsers = async (home: Home): Promise<BusUsers | undefined> => {
  return await readable(home.users, (text) => {
    parseList(text, 'users');
    return JSON.parse(text) as BusUsers;
  });
};

type AgentEntry = Omit<BusUser, 'publicKey'>;

const mergeAgents = (
  known: readonly BusUser[],
  wanted: readonly AgentUser[],
): readonly AgentEntry[] => {
  const agents = new Map<string, AgentEntry>();
  for (const { publicKey: _, ...user } of known)
    if (user.role === 'agent') agents.set(user.name, user);
  for (const { name, scope, workload } of wanted) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name) || reserved.has(name))
      throw refuse(`"${name}" cannot be an agent's name`);
    if (!isScope(scope))
      throw refuse(
        `"${scope}" is not a scope; it is edge.<gateway> or sidecar.<namespace>.<workload>`,
      );
    agents.set(name, {
      name,
      role: 'agent',
      scope,
      ...(workload === undefined ? {} : { workload }),
    });
  }
  return [...agents.values()];
};

/** What cannot be read is neither used nor replaced: a copy of it may exist. */
const readable = async <T>(
  file: string,
  parse: (text: string) => T | Promise<T>,
): Promise<T | undefined> => {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return await parse(text);
  } catch (error) {
    const why = (error as Error).message;
    throw refuse(
      `${file} is damaged (${why}); put a copy of it back, or remove it to have a new one made`,
    );
  }
};
const parseList = (text: string, name: string): void => {
  const list = (JSON.parse(text) as Record<string, unknown> | null)?.[name];
  if (!Array.isArray(list)) throw new Error(`it has no list of ${name}`);
};

const ensureCredentials = async (home: Home, user: AgentEntry): Promise<string> => {
  const file = home.credentials(user.name);
  const found = await readable(file, (text) => parseCredentials(text).publicKey);
  if (found !== undefined) return found;
  const pair = createUser();
  const seed = new TextDecoder().decode(pair.getSeed());
  const text = formatCredentials(seed, user.role === 'agent' ? AGENTS_API : OWN_API);
  await writeWhole(file, text, { secret: true });
  return pair.getPublicKey();
};

const ensureSigningKeys = async (home: Home): Promise<void> => {
  const key = await readable(home.signingKey, (text) => createSigner(JSON.parse(text) as never));
  const trusted = await readable(home.trustedKeys, (text) =>
    createVerifier(JSON.parse(text) as never),
  );
  if (key && trusted) return;
  const { privateJwk, jwks } = await generateSigningKeys();
  await writeWhole(home.signingKey, `${JSON.stringify(privateJwk, null, 2)}\n`, { secret: true });
  await writeWhole(home.trustedKeys, `${JSON.stringify(jwks, null, 2)}\n`);
};

const ensureTokens = async (home: Home): Promise<void> => {
  if (await readable(home.tokens, (text) => [parseList(text, 'tokens')])) return;
  const tokens = roles
    .toReversed()
    .map((role) => ({ name: role, role, token: randomBytes(32).toString('base64url') }));
  await writeWhole(home.tokens, `${JSON.stringify({ tokens }, null, 2)}\n`, { secret: true });
};

const portOf = (config: string | undefined): number | undefined => {
  const found = /^listen: "127\.0\.0\.1:(\d+)"$/m.exec(config ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
};

const writeUsers = async (home: Home, users: BusUsers, port: number | undefined): Promise<void> => {
  const present = await readIfThere(home.natsConfig);
  const config = renderNatsConfig(users, {
    port: port ?? portOf(present) ?? DEFAULT_PORT,
    storeDirectory: home.natsData,
  });
  await writeWhole(home.users, `${JSON.stringify(users, null, 2)}\n`);
  if (config !== present) await writeWhole(home.natsConfig, config);
};
