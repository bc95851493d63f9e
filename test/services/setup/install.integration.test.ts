import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUserNames, readBusUsers } from '#adapters/bus-nats/users.ts';
import { createSigner, createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { addAgent, install } from '#services/setup/install.ts';

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'weir-install-')), '.weir');
});
afterEach(() => rm(join(home, '..'), { recursive: true, force: true }));

const edge = { name: 'edge-1', scope: 'edge.public' };

/** Every file with its content. */
const contents = async (): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) {
      const file = join(entry.parentPath, entry.name);
      found[file.slice(home.length + 1)] = await readFile(file, 'utf8');
    }
  return found;
};

describe('install', () => {
  it('makes credentials, keys, tokens and configuration', async () => {
    const made = await install({ home, agents: [edge] });
    expect(Object.keys(await contents()).toSorted()).toEqual([
      'credentials/admin.nk',
      'credentials/control.nk',
      'credentials/edge-1.nk',
      'credentials/operator.nk',
      'credentials/viewer.nk',
      'keys/control.jwk.json',
      'keys/dev-issuer.jwk.json',
      'keys/dev-issuer.jwks.json',
      'keys/trusted.jwks.json',
      'nats/server.conf',
      'nats/users.json',
      'tokens.json',
    ]);
    expect(made.mesh).toBe('default');
    expect(made.credentials['edge-1']).toBe(join(home, 'credentials', 'edge-1.nk'));
  });

  it('changes nothing when everything is there', async () => {
    await install({ home, agents: [edge] });
    const before = await contents();
    await install({ home, agents: [edge] });
    await install({ home });
    expect(await contents()).toEqual(before);
  });

  it.each([
    'nats/users.json',
    'keys/control.jwk.json',
    'keys/trusted.jwks.json',
    'tokens.json',
    'credentials/control.nk',
  ])('says in one sentence that %s is damaged, and leaves it as it is', async (file) => {
    await install({ home, agents: [edge] });
    const path = join(home, file);
    for (const text of ['', '{"cut sho', '{}']) {
      await writeFile(path, text);
      await expect(install({ home })).rejects.toThrow(
        /^\S+ is damaged \(.+\); put a copy of it back, or remove it to have a new one made$/,
      );
      expect(await readFile(path, 'utf8')).toBe(text);
    }
    await rm(path);
    await install({ home, agents: [edge] });
    expect(await readFile(path, 'utf8')).not.toBe('');
  });

  it('makes a damaged issuer for development anew', async () => {
    await install({ home });
    await writeFile(join(home, 'keys/dev-issuer.jwk.json'), '{"cut sho');
    await install({ home });
    expect(await contents()).toMatchObject({
      'keys/dev-issuer.jwk.json': expect.stringContaining('"kid"'),
    });
  });

  it('keeps secrets to their owner', async () => {
    const made = await install({ home, agents: [edge] });
    for (const file of [made.signingKey, made.tokens, ...Object.values(made.credentials)])
      expect((await stat(file)).mode & 0o077).toBe(0);
  });

  it('makes keys of which one opens what the other sealed', async () => {
    const made = await install({ home });
    const signer = createSigner(JSON.parse(await readFile(made.signingKey, 'utf8')));
    const verifier = createVerifier(JSON.parse(await readFile(made.trustedKeys, 'utf8')));
    const payload = new TextEncoder().encode('weir');
    expect(new Uint8Array(await verifier.open(await signer.seal(payload)))).toEqual(payload);
  });

  it('makes one long token per role', async () => {
    const { tokens } = await install({ home });
    const list = JSON.parse(await readFile(tokens, 'utf8')).tokens as {
      role: string;
      token: string;
    }[];
    expect(list.map(({ role }) => role)).toEqual(['admin', 'operator', 'viewer']);
    expect(new Set(list.map(({ token }) => token)).size).toBe(3);
    for (const { token } of list) expect(token).toMatch(/^[\w-]{43}$/);
  });

  it('adds agents to those that are there and keeps their keys', async () => {
    await install({ home, mesh: 'books', agents: [edge] });
    const before = await contents();
    await addAgent({
      home,
      name: 'catalog-1',
      scope: 'sidecar.bibby.catalog',
      workload: 'bibby/catalog',
    });
    const after = await contents();
    for (const [file, text] of Object.entries(before))
      if (!file.startsWith('nats/')) expect(after[file]).toBe(text);
    const { mesh, users } = readBusUsers(join(home, 'nats', 'users.json'));
    expect(mesh).toBe('books');
    expect(users.filter(({ role }) => role === 'agent')).toMatchObject([
      edge,
      { name: 'catalog-1', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
    ]);
    expect(after['nats/server.conf']).toContain('weir.books.ack.sidecar.bibby.catalog.catalog-1');
  });

  it('moves an agent to another scope with the key it has', async () => {
    await install({ home, agents: [edge] });
    const before = await contents();
    await install({ home, agents: [{ ...edge, scope: 'edge.internal' }] });
    const after = await contents();
    expect(after['credentials/edge-1.nk']).toBe(before['credentials/edge-1.nk']);
    expect(after['nats/server.conf']).toContain('weir.default.ack.edge.internal.edge-1');
    expect(after['nats/server.conf']).not.toContain('weir.default.ack.edge.public.edge-1');
  });

  it('knows whom a public key belongs to, also one that was added later', async () => {
    const { users } = await install({ home });
    const nameOf = createUserNames(users);
    const [operator] = readBusUsers(users).users.filter(({ name }) => name === 'operator');
    expect(nameOf(operator?.publicKey ?? '')).toBe('operator');
    expect(nameOf('UNKNOWN')).toBeUndefined();
    await addAgent({ home, ...edge });
    const added = readBusUsers(users).users.find(({ name }) => name === 'edge-1');
    expect(nameOf(added?.publicKey ?? '')).toBe('edge-1');
  });

  it.each([
    ['a name of Weir itself', { name: 'control', scope: 'edge.public' }, /"control" cannot be/],
    ['a name with a wildcard', { name: 'edge*', scope: 'edge.public' }, /"edge\*" cannot be/],
    ['a name that is a path', { name: '../edge', scope: 'edge.public' }, /cannot be an agent/],
    ['an empty name', { name: '', scope: 'edge.public' }, /cannot be an agent/],
    ['no scope', { name: 'edge-2', scope: 'public' }, /"public" is not a scope/],
    ['a scope with a wildcard', { name: 'edge-2', scope: 'edge.*' }, /is not a scope/],
    ['a scope of everything', { name: 'edge-2', scope: 'edge.>' }, /is not a scope/],
  ])('refuses an agent with %s', async (_, agent, sentence) => {
    await expect(install({ home, agents: [agent] })).rejects.toThrow(sentence);
  });

  it('keeps two agents apart whose names differ in punctuation only', async () => {
    const names = ['edge.1', 'edge_1'];
    await install({ home, agents: names.map((name) => ({ name, scope: 'edge.public' })) });
    const config = await readFile(join(home, 'nats', 'server.conf'), 'utf8');
    for (const token of ['edge=2e1', 'edge_1'])
      expect(config).toContain(`weir.default.alive.${token}"`);
  });

  it('refuses a mesh name with other characters than a subject token has', async () => {
    await expect(install({ home, mesh: 'a.b' })).rejects.toThrow(/mesh name/);
  });
});
