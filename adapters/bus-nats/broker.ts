// The bus over nats-server: core messages, streams and buckets behind one connection per process.
import { PermissionViolationError } from '@nats-io/nats-core';
import type { Broker, Bus } from '#engine/ports/bus.ts';
import type { Log } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import type { Store } from '#engine/ports/store.ts';
import { createNatsBus, type UserName } from './bus.ts';
import { type ConnectionSettings, complain, openConnection } from './connection.ts';
import { deliverPrefix, OWN_API, parseCredentials } from './credentials.ts';
import { Link } from './link.ts';
import { openNatsLog } from './log.ts';
import { openNatsStore } from './store.ts';
import { serverWarnings } from './warnings.ts';

export interface NatsSettings extends ConnectionSettings {
  /** Who a public nkey belongs to; becomes `BusMessage.user`. Default: the key itself. */
  readonly userName?: UserName;
}

interface Status {
  readonly connected: boolean;
  readonly server: string;
}

export interface NatsBroker extends Broker {
  /** Largest core message in bytes. */
  readonly maxPayload: number;
}

/**
 * Resolves with the first connection and keeps trying until then: an unreachable server and unknown credentials are
 * logged, once each, and tried again. From then on it reconnects for ever.
 */
export const connectNats = async (settings: NatsSettings): Promise<NatsBroker> => {
  const credentials =
    settings.credentials === undefined ? undefined : parseCredentials(settings.credentials);
  const connection = await openConnection(settings, credentials);
  // A server that asks nobody who they are has one account, and JetStream in it under its own name.
  const hasAccounts = connection.info?.auth_required === true;
  const link = new Link(connection, {
    apiPrefix: (hasAccounts ? credentials?.apiPrefix : undefined) ?? OWN_API,
    deliverPrefix: deliverPrefix(credentials?.publicKey ?? 'anonymous'),
    log: settings.log ?? (() => {}),
  });
  return new Connected(link, settings);
};

class Connected implements NatsBroker {
  readonly bus: Bus;
  readonly warnings: readonly string[];
  readonly #link: Link;
  readonly #deniedSubjects = new Set<string>();
  readonly #watchers = new Set<Queue<Status>>();

  constructor(link: Link, settings: NatsSettings) {
    this.#link = link;
    this.bus = createNatsBus(link, settings.userName ?? ((publicKey) => publicKey));
    this.warnings = serverWarnings(link.connection.info);
    void this.#follow(settings);
  }

  get connected(): boolean {
    return this.#link.isUp;
  }

  get maxPayload(): number {
    return this.#link.maxPayload;
  }

  log(name: string): Promise<Log> {
    return openNatsLog(this.#link, name);
  }

  store(bucket: string): Promise<Store> {
    return openNatsStore(this.#link, bucket);
  }

  status(): AsyncIterable<Status> {
    const watcher: Queue<Status> = new Queue({ onClose: () => this.#watchers.delete(watcher) });
    watcher.push(this.#status());
    if (this.#link.connection.isClosed()) watcher.close();
    else this.#watchers.add(watcher);
    return watcher;
  }

  async close(): Promise<void> {
    const { connection } = this.#link;
    this.#link.closeAll();
    for (const watcher of this.#watchers) watcher.close();
    if (connection.isClosed()) return;
    // What was published last still goes out, if there is somebody to take it.
    if (this.connected) await Promise.race([connection.flush().catch(() => {}), pause(500)]);
    await connection.close();
  }

  #status(): Status {
    return { connected: this.connected, server: this.#link.connection.getServer() };
  }

  #turn(connected: boolean): void {
    if (connected === this.#link.isUp) return;
    this.#link.turn(connected);
    for (const watcher of this.#watchers) watcher.push(this.#status());
  }

  /** A denied call of JetStream fails for its caller; a denied message would be lost without a word. */
  #denied(error: Error): void {
    if (!(error instanceof PermissionViolationError) || error.operation !== 'publish') return;
    if (error.subject.startsWith('$') || this.#deniedSubjects.has(error.subject)) return;
    this.#deniedSubjects.add(error.subject);
    this.#link.log(`nats-server does not let this user publish to ${error.subject}`);
  }

  async #follow(settings: NatsSettings): Promise<void> {
    const report = complain(settings);
    for await (const event of this.#link.connection.status()) {
      if (event.type === 'disconnect') this.#turn(false);
      else if (event.type === 'reconnect') this.#turn(true);
      else if (event.type === 'error' && !this.#link.isUp) report(event.error);
      else if (event.type === 'error') this.#denied(event.error);
    }
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
