// The rules of what listens, in the form that connections use; replaced as a whole when policy changes.
import { EngineError } from '#engine/model/errors.ts';
import type { Listener, ListenerTls } from '#engine/model/snapshot.ts';
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

/** All listeners of one port: connections are the same for them, requests are told apart by host. */
export interface PortPlan {
  readonly port: number;
  /** For connections, and for hosts that no listener names. */
  readonly first: ListenerPlan;
  /** Undefined for plain HTTP. */
  readonly tls: ListenerTls | undefined;
  /** Equal for equal TLS settings. */
  readonly tlsKey: string;
  planFor(host: string): ListenerPlan;
}

/** `listeners` share an address and a port. Throws ERR_CONFIG_INVALID when they cannot. */
export const portPlanOf = (listeners: readonly [Listener, ...Listener[]]): PortPlan => {
  const plans = listeners.map((listener) => ({ listener, plan: planOf(listener) }));
  const first = planOf(listeners[0]);
  const tls = sharedTls(listeners);
  return {
    port: listeners[0].port,
    first,
    tls,
    tlsKey: JSON.stringify(tls) ?? '',
    planFor: plans.length === 1 ? () => first : (byHost(plans) ?? (() => first)),
  };
};

const planOf = (listener: Listener): ListenerPlan => ({
  name: listener.name,
  limits: listener.limits,
  path: listener.path,
  proxies: trustedProxies(listener.trustedProxies),
  redirectToHttps: listener.redirectToHttps === true,
});

/** Exact name, then the longest wildcard, then the listener without a hostname. */
const byHost = (
  plans: readonly { readonly listener: Listener; readonly plan: ListenerPlan }[],
): ((host: string) => ListenerPlan) => {
  const exact = new Map<string, ListenerPlan>();
  const wildcards = new Map<string, ListenerPlan>();
  let rest: ListenerPlan | undefined;
  for (const { listener, plan } of plans) {
    const name = listener.hostname?.toLowerCase() ?? '*';
    if (name === '*') rest ??= plan;
    else if (name.startsWith('*.'))
      wildcards.set(name.slice(1), wildcards.get(name.slice(1)) ?? plan);
    else exact.set(name, exact.get(name) ?? plan);
  }
  const fallback = rest ?? (plans[0]?.plan as ListenerPlan);
  return (host) => {
    const named = exact.get(host);
    if (named) return named;
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const plan = wildcards.get(host.slice(dot));
      if (plan) return plan;
    }
    return fallback;
  };
};

const invalid = (listener: Listener, why: string): EngineError =>
  new EngineError('ERR_CONFIG_INVALID', `listener ${listener.name}: ${why}`);

/** Certificates are told apart by server name; everything else about TLS belongs to the port. */
const sharedTls = (listeners: readonly [Listener, ...Listener[]]): ListenerTls | undefined => {
  const [first] = listeners;
  for (const each of listeners) {
    if (each.protocol !== 'HTTP' && each.protocol !== 'HTTPS')
      throw invalid(each, `protocol ${each.protocol} is not supported`);
    if (each.protocol !== first.protocol || settingsOf(each) !== settingsOf(first))
      throw invalid(each, `shares port ${first.port} with ${first.name}, but not its TLS settings`);
  }
  if (first.protocol === 'HTTP') return undefined;
  return {
    ...(first.tls ?? noCertificates),
    certificates: listeners.flatMap((each) => each.tls?.certificates ?? []),
  };
};

const settingsOf = ({ tls }: Listener): string =>
  JSON.stringify([tls?.mode, tls?.minVersion, tls?.clientCertificate]);

/** Cannot be served; reading the certificates says so. */
const noCertificates: ListenerTls = {
  mode: 'Terminate',
  certificates: [],
  minVersion: '1.2',
  alpn: ['http/1.1'],
};
