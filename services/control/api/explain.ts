// Why a request goes where it goes: the pipeline that serves traffic, asked about a request that nobody sent.
import { createHash, scrypt } from 'node:crypto';
import { canonicalPath } from '#adapters/dataplane-node/http1/path.ts';
import type { Caller, ExplainRequest } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import { isScope, type Scope } from '#engine/model/scope.ts';
import type { Listener } from '#engine/model/snapshot.ts';
import type { RequestView } from '#engine/pipeline/exchange.ts';
import { type Explanation, explain } from '#engine/pipeline/explain.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import type { Published, PublishedScope } from '../published.ts';

const EXAMPLE_ADDRESS = '203.0.113.1';

const refuse = (message: string): EngineError =>
  new EngineError('ERR_REQUEST_INVALID', message, { source: 'caller' });

export const createExplain =
  ({ published, clock }: { readonly published: Published; readonly clock: Clock }) =>
  async (
    _caller: Caller,
    request: ExplainRequest,
  ): Promise<Explanation & { readonly scope: Scope }> => {
    const view = viewOf(published.of(scopeOf(request.scope, published)));
    const explanation = await explain(view, pipelineDeps(clock), requestView(request, view));
    return { scope: view.scope, ...explanation };
  };

const scopeOf = (asked: string | undefined, published: Published): Scope => {
  if (asked !== undefined) {
    if (isScope(asked) && published.of(asked).snapshot) return asked;
    throw new EngineError('ERR_REQUEST_NOT_FOUND', `nothing was published to ${asked}`, {
      source: 'caller',
    });
  }
  const known = published.scopes.filter(({ snapshot }) => snapshot?.snapshot.listeners.length);
  const gateways = known.filter(({ scope }) => scope.startsWith('edge.'));
  const [only, ...others] = gateways.length > 0 ? gateways : known;
  if (only && others.length === 0) return only.scope;
  throw refuse(
    only
      ? `name the scope: ${gateways.map(({ scope }) => scope).join(', ')}`
      : 'no gateway has been published yet',
  );
};

const viewOf = ({ scope, position, snapshot, decisions }: PublishedScope): PlaneView => {
  if (!snapshot) throw refuse(`nothing was published to ${scope}`);
  const overlay = new Map(
    [...decisions.values()].map(({ decision }) => [decision.id, decision.body]),
  );
  return { scope, revision: snapshot.revision, position, snapshot: snapshot.snapshot, overlay };
};

const requestView = (asked: ExplainRequest, { snapshot }: PlaneView): RequestView => {
  const lines = new Map<string, string[]>();
  for (const [name, value] of asked.headers ?? []) {
    const key = name.toLowerCase();
    lines.set(key, [...(lines.get(key) ?? []), value]);
  }
  const [hostLine] = lines.get('host') ?? [];
  const base = `http://${hostLine ?? 'localhost'}`;
  if (!URL.canParse(asked.url, base)) throw refuse(`"${asked.url}" is not a URL`);
  const url = new URL(asked.url, base);
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const listener = listenerFor(url, scheme, snapshot.listeners);
  const authority = hostLine ?? url.host;
  const address = asked.clientAddress ?? EXAMPLE_ADDRESS;
  return {
    listener: listener.name,
    localPort: listener.port,
    scheme,
    method: asked.method.toUpperCase(),
    host: authority.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase(),
    authority,
    path: pathOf(asked.url, listener),
    query: url.search.slice(1),
    clientAddress: address,
    peerAddress: address,
    peerPrincipal: undefined,
    header: (name) => lines.get(name)?.[0],
    headers: (name) => lines.get(name) ?? [],
  };
};

/** The URL class has its own idea of dot segments; the gateway judges the path as it was sent. */
const pathOf = (url: string, listener: Listener): string => {
  const sent = url.replace(/^[a-z]+:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  const path = canonicalPath(sent === '' ? '/' : sent, listener.path);
  if (path?.startsWith('/')) return path;
  throw refuse(`the listener ${listener.name} refuses the path with 400`);
};

/** By port if one listener has it, else by protocol. */
const listenerFor = (url: URL, scheme: string, listeners: readonly Listener[]): Listener => {
  const protocol = scheme === 'https' ? 'HTTPS' : 'HTTP';
  const found =
    listeners.find(({ port }) => String(port) === url.port) ??
    listeners.find((listener) => listener.protocol === protocol) ??
    listeners[0];
  if (!found) throw refuse('the scope has no listener');
  return found;
};

const pipelineDeps = (clock: Clock) => ({
  clock,
  random: Math.random,
  hash: (text: string) => createHash('sha256').update(text).digest('hex'),
  scrypt: (
    password: string,
    salt: Uint8Array,
    cost: { readonly N: number; readonly r: number; readonly p: number },
    length: number,
  ) =>
    new Promise<Uint8Array>((resolve, reject) => {
      scrypt(password, salt, length, { ...cost, maxmem: 256 * 2 ** 20 }, (error, key) =>
        error ? reject(error) : resolve(key),
      );
    }),
  state: createPipelineState(),
});
