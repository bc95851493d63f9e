// One bound address. What comes in is led to the entrance that it is for; entrances are replaced when policy changes, and connections
// and requests under way go on.
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { EngineError } from '#engine/model/errors.ts';
import { Arrivals } from './arrivals.ts';
import { Deadline } from './deadlines.ts';
import { Door, type Knocking, type PreparedEntrance, prepareEntrance } from './door.ts';
import type { CallerConnection } from './downstream/connection-home.ts';
import type { PlaneContext } from './exchange/context.ts';
import { readClientHello } from './l4/client-hello.ts';
import type { Entrance, PortEntrances } from './l4/entrances.ts';
import { readPreamble } from './l4/preamble.ts';
import { type Proxied, readProxyHeader } from './l4/proxy-protocol.ts';

export interface BoundAddress {
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  readonly policyPort: number;
}

/** Entrances whose certificates have been read; made before anything changes. */
export interface PreparedEntrances {
  readonly entrances: PortEntrances;
  readonly prepared: readonly PreparedEntrance[];
}

/** A request may be on its way to a connection that seems idle; so long it may still come. */
const IDLE_GRACE_MS = 1000;

export class BoundListener {
  private readonly context: PlaneContext;
  private readonly server: net.Server;
  private readonly arrivals: Arrivals<net.Socket>;
  /** Accepted, but not yet through the handshake or what stands in front of it. */
  private readonly knocking = new Set<net.Socket>();
  private entrances: PortEntrances;
  private doors: ReadonlyMap<string, Door> = new Map();
  /** No entrance any more, but somebody is still inside. */
  private readonly former = new Set<Door>();
  private readonly farewell: Farewell;
  private stopped: Promise<void> | undefined;
  private isDestroyed = false;
  /** Connections taken in so far. */
  private arrived = 0;
  /** Came in before everything that they need was in force. */
  private early: net.Socket[] | undefined = [];

  constructor(entrances: PortEntrances, context: PlaneContext) {
    this.entrances = entrances;
    this.context = context;
    this.farewell = new Farewell(this);
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    this.arrivals = new Arrivals({
      admit: (socket) => this.accept(socket),
      monotonic: () => context.clock.monotonic(),
      atEndOfTurn: setImmediate,
      rush: context.rush,
    });
    this.server.on('connection', (socket) => {
      this.arrived++;
      this.arrivals.add(socket);
    });
  }

  /** Reads what the entrances need. Throws ERR_CONFIG_INVALID, and has changed nothing then. */
  prepare(entrances: PortEntrances): PreparedEntrances {
    const prepared = entrances.all.map(
      (entrance) =>
        this.doors.get(entrance.id)?.prepare(entrance) ?? prepareEntrance(entrance, this.context),
    );
    return { entrances, prepared };
  }

  /** Cannot fail. */
  commit({ entrances, prepared }: PreparedEntrances): void {
    this.entrances = entrances;
    const doors = new Map<string, Door>();
    for (const each of prepared) {
      const { id } = each.entrance;
      const known = this.doors.get(id);
      known?.commit(each);
      doors.set(id, known ?? new Door(each, this.context));
    }
    for (const [id, door] of this.doors) if (!doors.has(id)) this.retire(door);
    this.doors = doors;
  }

  /** Those who have come in so far are served from here on. */
  open(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const socket of early) this.accept(socket);
  }

  /** Throws ERR_PORT_TAKEN, or ERR_CONFIG_INVALID for an address that is not ours. */
  listen(address: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE';
        reject(
          new EngineError(
            isTaken ? 'ERR_PORT_TAKEN' : 'ERR_CONFIG_INVALID',
            `listener ${this.entrances.first.name}: cannot listen on ${address}:${port} (${error.code})`,
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
      listener: this.entrances.first.name,
      address: at.address,
      port: at.port,
      policyPort: this.entrances.port,
    };
  }

  get connectionCount(): number {
    let count = 0;
    for (const door of this.allDoors()) count += door.connections.size;
    return count;
  }

  *connections(): Iterable<CallerConnection> {
    for (const door of this.allDoors()) yield* door.connections;
  }

  reloadCertificates(): void {
    for (const door of this.doors.values()) door.reloadCertificates();
  }

  /** Answers say from here on that they are the last of their connection. */
  announceEnd(): void {
    for (const door of this.doors.values()) door.drain(false);
  }

  /**
   * Takes in those who have come already, and then nobody more: resolves when it does not listen any longer. What is under way is
   * finished, and idle connections are closed after a grace.
   */
  stop(patienceMs: number): Promise<void> {
    return (this.stopped ??= this.stopListening(patienceMs));
  }

  private async stopListening(patienceMs: number): Promise<void> {
    const { deadlines, clock } = this.context;
    this.announceEnd();
    deadlines.arm(this.farewell, deadlines.now + IDLE_GRACE_MS);
    // Closing resets whoever waits in the kernel's queue. The runtime takes in one of them per turn of its loop.
    const until = clock.monotonic() + patienceMs;
    for (let seen = -1; seen !== this.arrived && clock.monotonic() < until && !this.isDestroyed; ) {
      seen = this.arrived;
      await turn();
      await turn();
    }
    this.server.close();
  }

  closeIdle(): void {
    for (const door of this.allDoors()) door.drain(true);
  }

  destroy(): void {
    this.isDestroyed = true;
    this.announceEnd();
    this.server.close();
    this.context.deadlines.disarm(this.farewell);
    for (const sockets of [this.arrivals.take(), this.early ?? [], this.knocking])
      for (const socket of sockets) socket.destroy();
    for (const door of this.allDoors()) door.destroy();
  }

  private *allDoors(): Iterable<Door> {
    yield* this.doors.values();
    yield* this.former;
  }

  private retire(door: Door): void {
    for (const each of this.former) if (each.connections.size === 0) this.former.delete(each);
    this.former.add(door);
    door.retire();
  }

  private accept(socket: net.Socket): void {
    if (this.early) {
      this.early.push(socket);
      return;
    }
    const { limits } = this.entrances.first;
    const isFull = this.connectionCount + this.knocking.size >= limits.maxConnections;
    // Who has reset the connection meanwhile has no address any more, but its bytes can still be read; policy would not know whose they are.
    const isGone = socket.remoteAddress === undefined;
    if (isGone || isFull || this.context.isFull()) {
      socket.destroy();
      return;
    }
    const { only, proxyProtocol } = this.entrances;
    const isOpen = only !== undefined && only.tls === undefined && !proxyProtocol;
    if (isOpen) this.lead(socket, only, { proxied: undefined, serverName: undefined });
    else this.question(socket, proxyProtocol);
  }

  private question(socket: net.Socket, proxyProtocol: boolean): void {
    this.knocking.add(socket);
    socket.on('close', () => this.knocking.delete(socket));
    socket.on('error', () => socket.destroy());
    if (!proxyProtocol) this.askForName(socket, undefined);
    else
      readPreamble<Proxied>(socket, {
        ...this.patience,
        read: readProxyHeader,
        onDone: (proxied) => this.askForName(socket, proxied),
      });
  }

  private askForName(socket: net.Socket, proxied: Proxied): void {
    const { only } = this.entrances;
    if (only) this.lead(socket, only, { proxied, serverName: undefined });
    else
      readPreamble(socket, {
        ...this.patience,
        read: readClientHello,
        onDone: ({ serverName }) =>
          this.lead(socket, this.entrances.entranceFor(serverName), { proxied, serverName }),
      });
  }

  private lead(
    socket: net.Socket,
    entrance: Entrance | undefined,
    known: Omit<Knocking, 'onAccepted'>,
  ): void {
    const door = entrance && this.doors.get(entrance.id);
    if (!door) socket.destroy();
    else door.take(socket, { ...known, onAccepted: () => this.knocking.delete(socket) });
  }

  private get patience() {
    const { deadlines } = this.context;
    return { deadlines, timeoutMs: this.entrances.first.limits.headerTimeoutMs };
  }
}

class Farewell extends Deadline {
  private readonly listener: BoundListener;

  constructor(listener: BoundListener) {
    super();
    this.listener = listener;
  }

  onDue(): void {
    this.listener.closeIdle();
  }
}
