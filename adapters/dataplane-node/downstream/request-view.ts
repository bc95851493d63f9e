// One HTTP/1.1 request as policy sees it: strict, canonical, and lazy where it can be.
import type { PeerNames, RequestView } from '#engine/pipeline/exchange.ts';
import { hostOf } from '../http1/authority.ts';
import { canonicalPath } from '../http1/path.ts';
import { type Refusal, type RequestHead, refusals } from '../http1/request-head.ts';
import { clientOf } from './client-address.ts';
import type { ListenerPlan, PortPlan } from './listener-plan.ts';

/** What is the same for all requests of a connection. */
export interface PeerFacts {
  readonly address: string;
  readonly principal: string | undefined;
  readonly names?: PeerNames | undefined;
  readonly scheme: 'http' | 'https';
  readonly localPort: number;
  readonly localAddress: string;
  /** In lower case. */
  readonly serverName: string | undefined;
}

export class DownstreamRequest implements RequestView {
  readonly head: RequestHead;
  readonly peer: PeerFacts;
  listenerPlan: ListenerPlan;
  host = '';
  authority = '';
  path = '/';
  query = '';
  private isTrustedPeer = false;
  private lastAuthority = '';
  private lastHost = '';
  private leaving: AbortController | undefined;

  constructor(head: RequestHead, peer: PeerFacts, plan: ListenerPlan) {
    this.head = head;
    this.peer = peer;
    this.listenerPlan = plan;
  }

  get listener(): string {
    return this.listenerPlan.name;
  }

  get localPort(): number {
    return this.peer.localPort;
  }

  get localAddress(): string {
    return this.peer.localAddress;
  }

  get serverName(): string | undefined {
    return this.peer.serverName;
  }

  get scheme(): 'http' | 'https' {
    return this.peer.scheme;
  }

  get method(): string {
    return this.head.method;
  }

  get peerAddress(): string {
    return this.peer.address;
  }

  get peerPrincipal(): string | undefined {
    return this.peer.principal;
  }

  get peerNames(): PeerNames | undefined {
    return this.peer.names;
  }

  /** Whether what it says about the way so far is believed. */
  get comesFromProxy(): boolean {
    return this.isTrustedPeer;
  }

  get clientAddress(): string {
    if (!this.isTrustedPeer) return this.peer.address;
    const hops = this.head.fields.all('x-forwarded-for');
    return hops.length === 0
      ? this.peer.address
      : clientOf(this.peer.address, hops.join(','), this.listenerPlan.proxies);
  }

  get gone(): AbortSignal {
    return (this.leaving ??= new AbortController()).signal;
  }

  /** The caller has gone away. */
  leave(): void {
    this.leaving?.abort();
  }

  header(name: string): string | undefined {
    return this.head.fields.first(name);
  }

  headers(name: string): readonly string[] {
    return this.head.fields.all(name);
  }

  get isSecure(): boolean {
    return this.peer.scheme === 'https';
  }

  /** For a request that could not be read. */
  clear(): void {
    this.host = this.authority = this.query = '';
    this.path = '/';
  }

  /** Reads target and Host of the head just parsed. */
  read(port: PortPlan): Refusal | undefined {
    const { head } = this;
    this.leaving = undefined;
    if (head.method === 'CONNECT') return refusals.connect;
    this.authority = head.hostField;
    let { target } = head;
    if (target.charCodeAt(0) !== SLASH) {
      if (target === '*') return this.readAsterisk(port);
      const absolute = ABSOLUTE.exec(target);
      if (!absolute || absolute[1]?.toLowerCase() !== this.scheme) return refusals.target;
      const authority = absolute[2] as string;
      // Two names for one place may differ in case only.
      if (head.minor === 1 && authority.toLowerCase() !== head.hostField.toLowerCase())
        return refusals.host;
      this.authority = authority;
      target = absolute[3] as string;
      if (target.charCodeAt(0) !== SLASH) target = `/${target}`;
    }
    return this.readHost(port) ?? this.readPath(target);
  }

  private readAsterisk(port: PortPlan): Refusal | undefined {
    if (this.head.method !== 'OPTIONS') return refusals.target;
    this.path = '*';
    this.query = '';
    return this.readHost(port);
  }

  private choosePlan(port: PortPlan): Refusal | undefined {
    const plan = port.planFor(this.host);
    this.listenerPlan = plan ?? port.first;
    this.isTrustedPeer = this.listenerPlan.proxies.trusts(this.peer.address);
    return plan ? undefined : refusals.misdirected;
  }

  private readHost(port: PortPlan): Refusal | undefined {
    if (this.authority === '') {
      this.host = '';
      const refusal = this.choosePlan(port);
      return this.head.minor === 0 ? refusal : refusals.host;
    }
    // Most connections ask for one host only.
    if (this.authority !== this.lastAuthority) {
      const host = hostOf(this.authority);
      if (host === undefined) return refusals.host;
      this.lastAuthority = this.authority;
      this.lastHost = host;
    }
    this.host = this.lastHost;
    return this.choosePlan(port);
  }

  private readPath(target: string): Refusal | undefined {
    const mark = target.indexOf('?');
    const path = canonicalPath(mark < 0 ? target : target.slice(0, mark), this.listenerPlan.path);
    if (path === undefined) return refusals.path;
    this.path = path;
    this.query = mark < 0 ? '' : target.slice(mark + 1);
    return undefined;
  }
}

const SLASH = 47;
const ABSOLUTE = /^(https?):\/\/([^/?]*)(.*)$/i;
