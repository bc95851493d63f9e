// The rules of what listens, in the form that connections use; replaced as a whole when policy changes.
import type { Listener } from '#engine/model/snapshot.ts';
import type { PathPolicy } from '../http1/path.ts';
import type { HeadLimits } from '../http1/request-head.ts';
import { type TrustedProxies, trustedProxies } from './client-address.ts';

export interface ListenerPlan {
  readonly name: string;
  readonly limits: Listener['limits'] & HeadLimits;
  readonly path: PathPolicy;
  readonly proxies: TrustedProxies;
  readonly redirectToHttps: boolean;
}

/** Listeners of one port that let in by the same rules: connections are the same for them, requests are told apart by host. */
export interface PortPlan {
  readonly port: number;
  /** For connections. */
  readonly first: ListenerPlan;
  /** Undefined for a host that only others than those who came in here may ask for. */
  planFor(host: string): ListenerPlan | undefined;
}

/** `listeners` let in by the same rules; `all` are those of the port, whose hosts are not to be had here. */
export const portPlanOf = (
  listeners: readonly [Listener, ...Listener[]],
  all: readonly Listener[] = listeners,
): PortPlan => {
  const plans = new Map(listeners.map((listener) => [listener, planOf(listener)]));
  const first = plans.get(listeners[0]) as ListenerPlan;
  const listenerFor = byHost(all, (listener) => listener);
  return {
    port: listeners[0].port,
    first,
    planFor:
      all.length === 1
        ? () => first
        : (host) => {
            const listener = listenerFor(host);
            return listener === undefined ? first : plans.get(listener);
          },
  };
};

export const planOf = (listener: Listener): ListenerPlan => ({
  name: listener.name,
  limits: listener.limits,
  path: listener.path,
  proxies: trustedProxies(listener.trustedProxies),
  redirectToHttps: listener.redirectToHttps === true,
});

/** Exact name, then the longest wildcard, then the listener without a hostname, if there is one. */
export const byHost = <T>(
  listeners: readonly Listener[],
  valueOf: (listener: Listener) => T,
): ((host: string) => T | undefined) => {
  const exact = new Map<string, T>();
  const wildcards = new Map<string, T>();
  let rest: T | undefined;
  for (const listener of listeners) {
    const value = valueOf(listener);
    const name = listener.hostname?.toLowerCase() ?? '*';
    if (name === '*') rest ??= value;
    else if (name.startsWith('*.'))
      wildcards.set(name.slice(1), wildcards.get(name.slice(1)) ?? value);
    else exact.set(name, exact.get(name) ?? value);
  }
  return (host) => {
    const named = exact.get(host);
    if (named) return named;
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const value = wildcards.get(host.slice(dot));
      if (value) return value;
    }
    return rest;
  };
};
