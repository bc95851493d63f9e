// One bound address. Its plan is replaced when policy changes; connections and requests under way go on.
import net from 'node:net';
import { EngineError } from '#engine/model/errors.ts';
import { adopt } from './byte-stream.ts';
import { plainAddress } from './downstream/client-address.ts';
import { DownstreamConnection } from './downstream/connection.ts';
import type { ConnectionHome } from './downstream/connection-home.ts';
import type { PortPlan } from './downstream/listener-plan.ts';
import type { PlaneContext } from './exchange/context.ts';
import { TlsAcceptor } from './tls/acceptor.ts';

export interface BoundAddress {
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  readonly policyPort: number;
}

/** A plan whose certificates have been read; made before anything changes. */
export interface PreparedPlan {
  readonly plan: PortPlan;
  readonly acceptor: TlsAcceptor | undefined;
}

export class BoundListener implements ConnectionHome {
  plan: PortPlan;
  isClosing = false;
  readonly connections = new Set<DownstreamConnection>();
  private readonly context: PlaneContext;
  private readonly server: net.Server;
  /** Accepted, but still in the TLS handshake. */
  private readonly handshakes = new Set<net.Socket>();
  private acceptor: TlsAcceptor | undefined;

  constructor(plan: PortPlan, context: PlaneContext) {
    this.plan = plan;
    this.context = context;
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    this.server.on('connection', (socket) => this.accept(socket));
  }

  /** Reads what the plan needs. Throws ERR_CONFIG_INVALID, and has changed nothing then. */
  prepare(plan: PortPlan): PreparedPlan {
    const isSame = plan.tlsKey === this.plan.tlsKey && this.acceptor !== undefined;
    if (plan.tls === undefined || isSame) return { plan, acceptor: this.acceptor };
    return { plan, acceptor: this.acceptorFor(plan) };
  }

  /** Cannot fail. */
  commit({ plan, acceptor }: PreparedPlan): void {
    this.plan = plan;
    this.acceptor = plan.tls === undefined ? undefined : acceptor;
  }

  /** Throws ERR_PORT_TAKEN, or ERR_CONFIG_INVALID for an address that is not ours. */
  listen(address: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE';
        reject(
          new EngineError(
            isTaken ? 'ERR_PORT_TAKEN' : 'ERR_CONFIG_INVALID',
            `listener ${this.plan.first.name}: cannot listen on ${address}:${port} (${error.code})`,
            { cause: error },
          ),
        );
      });
      this.server.listen(
        { host: address, port, backlog: 4096, reusePort: this.context.reusePort },
        () => {
          this.server.removeAllListeners('error');
          // Accepting may fail for lack of file descriptors; the listener lives on.
          this.server.on('error', (error) => this.context.log('accept failed', error));
          resolve();
        },
      );
    });
  }

  get bound(): BoundAddress {
    const at = this.server.address() as net.AddressInfo;
    return {
      listener: this.plan.first.name,
      address: at.address,
      port: at.port,
      policyPort: this.plan.port,
    };
  }

  forget(connection: DownstreamConnection): void {
    this.connections.delete(connection);
  }

  /** Certificate files may have been renewed in place. */
  reloadCertificates(): void {
    if (this.plan.tls === undefined) return;
    try {
      this.acceptor = this.acceptorFor(this.plan);
    } catch (error) {
      this.context.log('certificates kept as they were', error);
    }
  }

  /** Accepts no more; what is under way is finished. */
  stop(): void {
    this.isClosing = true;
    this.server.close();
    for (const connection of this.connections) connection.drain();
  }

  destroy(): void {
    this.stop();
    for (const socket of this.handshakes) socket.destroy();
    for (const connection of this.connections) connection.destroy();
  }

  private accept(socket: net.Socket): void {
    if (this.connections.size + this.handshakes.size >= this.plan.first.limits.maxConnections) {
      socket.destroy();
      return;
    }
    if (this.plan.tls === undefined) {
      this.serve(socket, 'http', undefined);
      return;
    }
    this.handshakes.add(socket);
    socket.on('close', () => this.handshakes.delete(socket));
    socket.on('error', () => socket.destroy());
    this.acceptor?.accept(socket);
  }

  private acceptorFor(plan: PortPlan): TlsAcceptor | undefined {
    if (plan.tls === undefined) return undefined;
    return new TlsAcceptor(plan.tls, plan.first.name, ({ socket, principal }) =>
      this.serve(socket, 'https', principal),
    );
  }

  private serve(socket: net.Socket, scheme: 'http' | 'https', principal: string | undefined): void {
    const peer = {
      address: plainAddress(socket.remoteAddress ?? ''),
      principal,
      scheme,
      localPort: this.plan.port,
    };
    adopt(socket, (stream) => {
      const connection = new DownstreamConnection(stream, this, peer, this.context);
      this.connections.add(connection);
      return connection;
    });
  }
}
