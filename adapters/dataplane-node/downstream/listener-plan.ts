// A listener's rules in the form that connections use; replaced as a whole when policy changes.
import type { Listener, ListenerTls } from '#engine/model/snapshot.ts';
import type { PathPolicy } from '../http1/path.ts';
import type { HeadLimits } from '../http1/request-head.ts';
import { type TrustedProxies, trustedProxies } from './client-address.ts';

export interface ListenerPlan {
  readonly name: string;
  readonly port: number;
  readonly limits: Listener['limits'] & HeadLimits;
  readonly path: PathPolicy;
  readonly proxies: TrustedProxies;
  readonly redirectToHttps: boolean;
  /** Undefined for plain HTTP. */
  readonly tls: ListenerTls | undefined;
  /** Equal for equal TLS settings. */
  readonly tlsKey: string;
}

export const planOf = (listener: Listener): ListenerPlan => {
  const tls = listener.protocol === 'HTTPS' ? (listener.tls ?? noCertificates) : undefined;
  return {
    name: listener.name,
    port: listener.port,
    limits: listener.limits,
    path: listener.path,
    proxies: trustedProxies(listener.trustedProxies),
    redirectToHttps: listener.redirectToHttps === true,
    tls,
    tlsKey: JSON.stringify(tls) ?? '',
  };
};

/** Cannot be served; reading the certificates says so. */
const noCertificates: ListenerTls = {
  mode: 'Terminate',
  certificates: [],
  minVersion: '1.2',
  alpn: ['http/1.1'],
};
