// Issuers' keys on record, so that a restart while an issuer is away does not shut its users out.
import type { KeyAddress, KeyNews, KeySet, Keys } from '#engine/ports/keys.ts';
import type { MachineStore } from './machine-store.ts';
import type { Time } from './time.ts';

const PREFIX = 'keys';
/** As long as the last good set outlives its issuer while control runs. */
const KEPT_MS = 24 * 3_600_000;

interface Remembered {
  readonly set: KeySet;
  readonly atMs: number;
}

const nameOf = (address: KeyAddress): string =>
  address.type === 'jwks' ? `jwks ${address.uri}` : `discovery ${address.issuer}`;

export class KeyMemory {
  readonly #keys: Keys;
  readonly #machines: MachineStore;
  readonly #time: Time;
  #remembered = new Map<string, Remembered>();

  constructor(keys: Keys, machines: MachineStore, time: Time) {
    this.#keys = keys;
    this.#machines = machines;
    this.#time = time;
  }

  async load(): Promise<void> {
    const stored = await this.#machines.load(PREFIX, () => {});
    for (const [name, value] of stored) {
      const { set, atMs } = value as Partial<Remembered>;
      if (Array.isArray(set?.keys) && typeof atMs === 'number')
        this.#remembered.set(name, { set, atMs });
    }
  }

  /** What was fetched, else what was fetched before the restart. */
  current(address: KeyAddress): KeySet | undefined {
    const fetched = this.#keys.current(address);
    if (fetched) return fetched;
    const known = this.#remembered.get(nameOf(address));
    return known && this.#time.now() - known.atMs < KEPT_MS ? known.set : undefined;
  }

  follow(addresses: readonly KeyAddress[]): Promise<void> {
    return this.#keys.follow(addresses);
  }

  /** An agent saw a token whose key the set does not have. */
  miss(address: KeyAddress): void {
    this.#keys.miss(address);
  }

  /** Puts on record what came, as the leader of this epoch. */
  async learn({ type, address }: KeyNews, epoch: number | undefined): Promise<void> {
    const name = nameOf(address);
    const set = type === 'rotated' ? this.#keys.current(address) : undefined;
    if (set) this.#remembered.set(name, { set, atMs: this.#time.now() });
    if (type === 'expired') this.#remembered.delete(name);
    if (epoch === undefined) return;
    if (set) await this.#machines.save(PREFIX, name, epoch, this.#remembered.get(name));
    if (type === 'expired') await this.#machines.remove(PREFIX, name, epoch);
  }
}
