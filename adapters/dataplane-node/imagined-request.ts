// A request that nobody sent, as the pipeline would see it: for those who ask what would happen.
import { hash, randomBytes, scrypt } from 'node:crypto';
import type { Listener } from '#engine/model/snapshot.ts';
import type { PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import type { RequestView } from '#engine/pipeline/exchange.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import type { Clock } from '#engine/ports/clock.ts';
import { canonicalPath } from './http1/path.ts';

export interface Imagined {
  readonly method: string;
  /** An address, or a path beside a Host header. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly clientAddress: string;
  readonly peerPrincipal?: string | undefined;
}

/** As a certificate would have it: people leave the scheme out. */
export const identityNamed = (name: string): string =>
  name.includes('://') ? name : `spiffe://${name}`;

/** In one sentence, why there can be no such request. */
export class NoSuchRequest extends Error {}

export const imaginedRequest = (asked: Imagined, listeners: readonly Listener[]): RequestView => {
  const lines = new Map<string, string[]>();
  for (const [name, value] of asked.headers) {
    const key = name.toLowerCase();
    lines.set(key, [...(lines.get(key) ?? []), value]);
  }
  const [hostLine] = lines.get('host') ?? [];
  const base = `http://${hostLine ?? 'localhost'}`;
  if (!URL.canParse(asked.url, base)) throw new NoSuchRequest(`"${asked.url}" is not a URL`);
  const url = new URL(asked.url, base);
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const listener = listenerFor(url, scheme, listeners);
  const authority = hostLine ?? url.host;
  return {
    listener: listener.name,
    localPort: listener.port,
    localAddress: anyAddresses.has(listener.address) ? undefined : listener.address,
    serverName: serverNameOf(url),
    scheme,
    method: asked.method.toUpperCase(),
    host: authority.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase(),
    authority,
    path: pathOf(asked.url, listener),
    query: url.search.slice(1),
    clientAddress: asked.clientAddress,
    peerAddress: asked.clientAddress,
    peerPrincipal: asked.peerPrincipal,
    header: (name) => lines.get(name)?.[0],
    headers: (name) => lines.get(name) ?? [],
  };
};

const anyAddresses: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** What a client would ask for in TLS: a name, never an address. */
const serverNameOf = ({ protocol, hostname }: URL): string | undefined =>
  protocol !== 'https:' || /^\[|^[0-9.]+$/.test(hostname) ? undefined : hostname.replace(/\.$/, '');

/** The URL class has its own idea of dot segments; the gateway judges the path as it was sent. */
const pathOf = (url: string, listener: Listener): string => {
  const sent = url.replace(/^[a-z]+:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  const path = canonicalPath(sent === '' ? '/' : sent, listener.path);
  if (path?.startsWith('/')) return path;
  throw new NoSuchRequest(`the listener ${listener.name} refuses the path with 400`);
};

/** By port if one listener has it, else by protocol. */
const listenerFor = (url: URL, scheme: string, listeners: readonly Listener[]): Listener => {
  const protocol = scheme === 'https' ? 'HTTPS' : 'HTTP';
  const found =
    listeners.find(({ port }) => String(port) === url.port) ??
    listeners.find((listener) => listener.protocol === protocol) ??
    listeners[0];
  if (!found) throw new NoSuchRequest('the scope has no listener');
  return found;
};

/** Of its own: counts nothing that serves traffic. */
export const imaginedDeps = (clock: Clock, random: () => number = Math.random): PipelineDeps => ({
  clock,
  random,
  hash: (text) => hash('sha256', text),
  unguessable: () => randomBytes(32).toString('base64url'),
  scrypt: (password, salt, cost, length) =>
    new Promise<Uint8Array>((resolve, reject) => {
      scrypt(password, salt, length, { ...cost, maxmem: 256 * 2 ** 20 }, (error, key) =>
        error ? reject(error) : resolve(key),
      );
    }),
  state: createPipelineState(),
});
