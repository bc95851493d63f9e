// One bound address. Its plan is replaced when policy changes; connections and requests under way go on.
import net from 'node:net';
import { EngineError } from '#engine/model/errors.ts';
import { adopt } from './byte-stream.ts';
import { plainAddress } from './downstream/client-address.ts';
import { type ConnectionHome, DownstreamConnection } from './downstream/connection.ts';
import type { ListenerPlan } from './downstream/listener-plan.ts';
import type { PlaneContext } from './exchange/context.ts';

export interface BoundAddress {
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  readonly policyPort: number;
}

export class BoundListener implements ConnectionHome {
  plan: ListenerPlan;
  isClosing = false;
  readonly connections = new Set<DownstreamConnection>();
  private readonly context: PlaneContext;
  private readonly server: net.Server;

  constructor(plan: ListenerPlan, context: PlaneContext) {
    this.plan = plan;
    this.context = context;
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    this.server.on('connection', (socket) => this.accept(socket));
  }

  /** Throws ERR_PORT_TAKEN, or ERR_CONFIG_INVALID for an address that is not ours. */
  listen(address: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE';
        reject(
          new EngineError(
            isTaken ? 'ERR_PORT_TAKEN' : 'ERR_CONFIG_INVALID',
            `listener ${this.plan.name}: cannot listen on ${address}:${port} (${error.code})`,
            { cause: error },
          ),
        );
      });
      this.server.listen({ host: address, port, backlog: 4096 }, () => {
        this.server.removeAllListeners('error');
        // Accepting may fail for lack of file descriptors; the listener lives on.
        this.server.on('error', (error) => this.context.log('accept failed', error));
        resolve();
      });
    });
  }

  get bound(): BoundAddress {
    const at = this.server.address() as net.AddressInfo;
    return {
      listener: this.plan.name,
      address: at.address,
      port: at.port,
      policyPort: this.plan.port,
    };
  }

  forget(connection: DownstreamConnection): void {
    this.connections.delete(connection);
  }

  /** Accepts no more; what is under way is finished. */
  stop(): void {
    this.isClosing = true;
    this.server.close();
    for (const connection of this.connections) connection.drain();
  }

  destroy(): void {
    this.stop();
    for (const connection of this.connections) connection.destroy();
  }

  private accept(socket: net.Socket): void {
    if (this.connections.size >= this.plan.limits.maxConnections) {
      socket.destroy();
      return;
    }
    const peer = {
      address: plainAddress(socket.remoteAddress ?? ''),
      principal: undefined,
      scheme: 'http' as const,
      localPort: this.plan.port,
    };
    adopt(socket, (stream) => {
      const connection = new DownstreamConnection(stream, this, peer, this.context);
      this.connections.add(connection);
      return connection;
    });
  }
}
