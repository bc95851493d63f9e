// A listener's rules in the form that connections use; replaced as a whole when policy changes.
import type { Listener } from '#engine/model/snapshot.ts';
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
}

export const planOf = (listener: Listener): ListenerPlan => ({
  name: listener.name,
  port: listener.port,
  limits: listener.limits,
  path: listener.path,
  proxies: trustedProxies(listener.trustedProxies),
  redirectToHttps: listener.redirectToHttps === true,
});
