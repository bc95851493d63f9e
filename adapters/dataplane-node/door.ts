// One entrance of a port at run time: who came in here, and the TLS rules by which they did.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { adopt } from './byte-stream.ts';
import { plainAddress } from './downstream/client-address.ts';
import { DownstreamConnection } from './downstream/connection.ts';
import type { CallerConnection, ConnectionHome } from './downstream/connection-home.ts';
import type { PortPlan } from './downstream/listener-plan.ts';
import type { PlaneContext } from './exchange/context.ts';
import { CallerSession } from './http2/caller-session.ts';
import type { Entrance, HttpEntrance, TunnelEntrance } from './l4/entrances.ts';
import type { Proxied, ProxiedAddresses } from './l4/proxy-protocol.ts';
import { Tunnel } from './l4/tunnel.ts';
import { TlsAcceptor, type TlsCaller } from './tls/acceptor.ts';

/** What is known of a caller before its own first byte is read. */
export interface Knocking {
  /** What a proxy in front said. */
  readonly proxied: Proxied;
  readonly serverName: string | undefined;
  readonly onAccepted: () => void;
}

type Caller = Knocking & Pick<TlsCaller, 'principal' | 'names'>;

/** An entrance whose certificates have been read; made before anything changes. */
export interface PreparedEntrance {
  readonly entrance: Entrance;
  readonly acceptor: TlsAcceptor | undefined;
}

export class Door implements ConnectionHome {
  readonly connections = new Set<CallerConnection>();
  isClosing = false;
  isRetired = false;
  private readonly context: PlaneContext;
  private entrance: Entrance;
  private acceptor: TlsAcceptor | undefined;

  constructor({ entrance, acceptor }: PreparedEntrance, context: PlaneContext) {
    this.entrance = entrance;
    this.acceptor = acceptor;
    this.context = context;
  }

  /** Of an HTTP entrance; nobody else asks. */
  get plan(): PortPlan {
    return (this.entrance as HttpEntrance).plan;
  }

  /** Throws ERR_CONFIG_INVALID, and has changed nothing then. */
  prepare(entrance: Entrance): PreparedEntrance {
    const isSame = entrance.tlsKey === this.entrance.tlsKey && this.acceptor !== undefined;
    return isSame ? { entrance, acceptor: this.acceptor } : prepareEntrance(entrance, this.context);
  }

  /** Cannot fail. */
  commit({ entrance, acceptor }: PreparedEntrance): void {
    this.entrance = entrance;
    this.acceptor = acceptor;
  }

  /** Certificate files may have been renewed in place. */
  reloadCertificates(): void {
    try {
      ({ acceptor: this.acceptor } = prepareEntrance(this.entrance, this.context));
    } catch (error) {
      this.context.log('certificates kept as they were', error);
    }
  }

  /** `socket` is accepted and paused. */
  take(socket: Socket, knocking: Knocking): void {
    const { acceptor } = this;
    if (acceptor)
      acceptor.accept(socket, (caller) => {
        knocking.onAccepted();
        this.serve(caller.socket, { ...knocking, ...caller });
      });
    else {
      knocking.onAccepted();
      this.serve(socket, { ...knocking, principal: undefined, names: undefined });
    }
  }

  remember<Connection extends CallerConnection>(connection: Connection): Connection {
    this.connections.add(connection);
    return connection;
  }

  forget(connection: CallerConnection): void {
    this.connections.delete(connection);
  }

  /** Nobody comes in any more. */
  drain(isIdleToo: boolean): void {
    this.isClosing = true;
    for (const connection of this.connections) connection.drain(isIdleToo);
  }

  retire(): void {
    this.isRetired = true;
    this.drain(true);
  }

  destroy(): void {
    this.isClosing = true;
    for (const connection of this.connections) connection.destroy();
  }

  private serve(socket: Socket, caller: Caller): void {
    const { entrance } = this;
    // The handshake began by rules that do not hold any more.
    if (this.isRetired) socket.destroy();
    else if (entrance.type === 'tunnel') this.openTunnel(socket, entrance, caller);
    else this.serveHttp(socket, caller);
  }

  private serveHttp(socket: Socket, caller: Caller): void {
    const { proxied, principal, names } = caller;
    const isSecure = socket instanceof TLSSocket;
    const peer = {
      address: proxied?.source.address ?? plainAddress(socket.remoteAddress ?? ''),
      principal,
      names,
      scheme: isSecure ? ('https' as const) : ('http' as const),
      localPort: this.plan.port,
      localAddress: proxied?.destination.address ?? plainAddress(socket.localAddress ?? ''),
      serverName: serverNameOf(socket, caller),
    };
    const Connection =
      isSecure && socket.alpnProtocol === 'h2' ? CallerSession : DownstreamConnection;
    adopt(socket, (stream) => this.remember(new Connection(stream, this, peer, this.context)));
  }

  private openTunnel(
    socket: Socket,
    { listener, service, protocol }: TunnelEntrance,
    caller: Caller,
  ): void {
    const isDecrypted = socket instanceof TLSSocket;
    const entry = {
      listener,
      service,
      protocol,
      addresses: caller.proxied ?? addressesOf(socket),
      serverName: serverNameOf(socket, caller),
      principal: caller.principal,
      isDecrypted,
      onClosed: (tunnel: CallerConnection) => this.forget(tunnel),
    };
    adopt(socket, (stream) => {
      const tunnel = new Tunnel(stream, entry, this.context);
      this.remember(tunnel);
      // What was read ahead comes first.
      queueMicrotask(() => tunnel.start());
      return tunnel;
    });
  }
}

export const prepareEntrance = (
  entrance: Entrance,
  { clock }: Pick<PlaneContext, 'clock'>,
): PreparedEntrance => {
  const { tls: plan, id: identity } = entrance;
  if (!plan) return { entrance, acceptor: undefined };
  const isHttp = entrance.type === 'http';
  const acceptor = new TlsAcceptor({
    plan,
    listener: isHttp ? entrance.plan.first.name : entrance.listener.name,
    alpn: isHttp ? plan.alpn : [],
    identity,
    now: () => clock.now(),
  });
  return { entrance, acceptor };
};

/** Read from the ClientHello, or heard in the handshake. */
const serverNameOf = (socket: Socket, { serverName }: Knocking): string | undefined => {
  const heard = socket instanceof TLSSocket && socket.servername;
  const name = serverName ?? (heard === false || heard === null ? '' : heard);
  return name === '' ? undefined : name.toLowerCase().replace(/\.$/, '');
};

const addressesOf = (socket: Socket): ProxiedAddresses => ({
  source: { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 },
  destination: { address: plainAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 },
});
