// Which host entry a request belongs to: the first one in the list that covers its host and listener.
import type { HostEntry } from '../model/snapshot.ts';

export class HostIndex {
  readonly #entries: readonly HostEntry[];
  readonly #exact = new Map<string, number[]>();
  readonly #oneLabel = new Map<string, number[]>();
  readonly #manyLabels = new Map<string, number[]>();
  readonly #any: number[] = [];

  constructor(entries: readonly HostEntry[]) {
    this.#entries = entries;
    for (const [index, entry] of entries.entries()) {
      if (entry.type === 'any') this.#any.push(index);
      else push(this.#mapOf(entry.type), entry.host, index);
    }
  }

  /** Index into the list, or -1. */
  find(host: string, listener: string): number {
    let best = this.#first(this.#exact.get(host), listener, this.#entries.length);
    if (this.#oneLabel.size > 0) {
      const dot = host.indexOf('.');
      if (dot > 0) best = this.#first(this.#oneLabel.get(host.slice(dot + 1)), listener, best);
    }
    if (this.#manyLabels.size > 0)
      for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1))
        best = this.#first(this.#manyLabels.get(host.slice(dot + 1)), listener, best);
    best = this.#first(this.#any, listener, best);
    return best < this.#entries.length ? best : -1;
  }

  #first(indexes: readonly number[] | undefined, listener: string, best: number): number {
    if (indexes === undefined) return best;
    for (const index of indexes) {
      if (index >= best) return best;
      const listeners = this.#entries[index]?.listeners;
      if (listeners?.length === 0 || listeners?.includes(listener)) return index;
    }
    return best;
  }

  #mapOf(type: 'exact' | 'oneLabel' | 'manyLabels'): Map<string, number[]> {
    if (type === 'exact') return this.#exact;
    return type === 'oneLabel' ? this.#oneLabel : this.#manyLabels;
  }
}

const push = (map: Map<string, number[]>, key: string, index: number): void => {
  const list = map.get(key);
  if (list) list.push(index);
  else map.set(key, [index]);
};

/** The same answer entry by entry; `explain` shows it and a property test compares the two. */
export const coversHost = (entry: HostEntry, host: string): boolean => {
  switch (entry.type) {
    case 'any':
      return true;
    case 'exact':
      return host === entry.host;
    case 'oneLabel': {
      const label = host.slice(0, host.length - entry.host.length - 1);
      return host.endsWith(`.${entry.host}`) && label !== '' && !label.includes('.');
    }
    case 'manyLabels':
      return host.endsWith(`.${entry.host}`) && host.length > entry.host.length + 1;
    default:
      return entry.type satisfies never;
  }
};
