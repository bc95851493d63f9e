// Where an installation keeps its things.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

export interface Home {
  readonly path: string;
  readonly natsConfig: string;
  readonly natsData: string;
  readonly natsLog: string;
  readonly natsUrl: string;
  /** Which nats-server runs on the data, and who looks after it. */
  readonly natsState: string;
  readonly users: string;
  readonly signingKey: string;
  readonly trustedKeys: string;
  /** Of the token issuer for development: its secret key, and what everybody may know. */
  readonly devIssuerKey: string;
  readonly devIssuerKeys: string;
  readonly tokens: string;
  credentials(user: string): string;
}

export const homeAt = (path: string): Home => {
  const root = resolve(path);
  return {
    path: root,
    natsConfig: join(root, 'nats', 'server.conf'),
    natsData: join(root, 'nats', 'data'),
    natsLog: join(root, 'nats', 'server.log'),
    natsUrl: join(root, 'nats', 'url'),
    natsState: join(root, 'nats', 'server.json'),
    users: join(root, 'nats', 'users.json'),
    signingKey: join(root, 'keys', 'control.jwk.json'),
    trustedKeys: join(root, 'keys', 'trusted.jwks.json'),
    devIssuerKey: join(root, 'keys', 'dev-issuer.jwk.json'),
    devIssuerKeys: join(root, 'keys', 'dev-issuer.jwks.json'),
    tokens: join(root, 'tokens.json'),
    credentials: (user) => join(root, 'credentials', `${user}.nk`),
  };
};

/** Whole or not at all; a secret is never readable by others, not even for a moment. */
export const writeWhole = async (
  file: string,
  text: string,
  options: { readonly secret?: boolean } = {},
): Promise<void> => {
  await mkdir(dirname(file), { recursive: true, mode: options.secret ? 0o700 : 0o755 });
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: options.secret ? 0o600 : 0o644 });
  await rename(draft, file);
};

export const readIfThere = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
