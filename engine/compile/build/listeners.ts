// A Gateway's listeners, ready to open.
import { parseDuration } from '../../model/duration.ts';
import type { Gateway } from '../../model/resource.ts';
import type { Listener, ListenerLimits, ListenerTls } from '../../model/snapshot.ts';

export const listenersOf = ({ metadata, spec }: Gateway): readonly Listener[] =>
  spec.listeners.map((listener) => {
    const { name, address, port, protocol, hostname, tls, backend } = listener;
    return {
      name,
      address,
      port,
      protocol,
      ...(hostname !== undefined && hostname !== '*' && { hostname }),
      ...(listener.redirectToHttps && { redirectToHttps: true }),
      ...(listener.proxyProtocol && { proxyProtocol: true }),
      ...(tls && { tls: tlsPlan(tls) }),
      ...(backend && {
        upstream: `${backend.namespace ?? metadata.namespace}/${backend.service}`,
      }),
      trustedProxies: spec.trustedProxies,
      ...(spec.decisionHeader && { decisionHeader: spec.decisionHeader }),
      limits: limitsPlan(spec.limits),
      path: spec.path,
    };
  });

const limitsPlan = (limits: Gateway['spec']['limits']): ListenerLimits => ({
  maxHeaderBytes: limits.maxHeaderBytes,
  maxHeaders: limits.maxHeaders,
  maxTargetBytes: limits.maxTargetBytes,
  headerTimeoutMs: parseDuration(limits.headerTimeout),
  idleTimeoutMs: parseDuration(limits.idleTimeout),
  bodyStallTimeoutMs: parseDuration(limits.bodyStallTimeout),
  maxRequestsPerConnection: limits.maxRequestsPerConnection,
  maxConnections: limits.maxConnections,
});

type TlsSpec = NonNullable<Gateway['spec']['listeners'][number]['tls']>;

const tlsPlan = (tls: TlsSpec): ListenerTls => ({
  mode: tls.mode,
  certificates: tls.certificates,
  minVersion: tls.minVersion,
  alpn: tls.alpn,
  ...(tls.clientCertificate && { clientCertificate: tls.clientCertificate }),
});
