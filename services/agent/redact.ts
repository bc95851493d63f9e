// A snapshot as people may see it: everything but what would let them in.
import type {
  AuthenticationMethod,
  ConsumerPlan,
  Listener,
  Snapshot,
} from '#engine/model/snapshot.ts';

const REDACTED = '[redacted]';

export const redact = (snapshot: Snapshot): Snapshot => ({
  ...snapshot,
  listeners: snapshot.listeners.map(redactListener),
  authentications: Object.fromEntries(
    Object.entries(snapshot.authentications).map(([id, plan]) => [
      id,
      { ...plan, methods: plan.methods.map(redactMethod) },
    ]),
  ),
  consumers: snapshot.consumers.map(redactConsumer),
});

const redactListener = (listener: Listener): Listener => {
  const { tls } = listener;
  if (!tls) return listener;
  const certificates = tls.certificates.map((certificate) =>
    certificate.key === undefined ? certificate : { ...certificate, key: REDACTED },
  );
  return { ...listener, tls: { ...tls, certificates } };
};

const redactMethod = (method: AuthenticationMethod): AuthenticationMethod =>
  method.type === 'jwt'
    ? {
        ...method,
        issuers: method.issuers.map((issuer) =>
          issuer.secret === undefined ? issuer : { ...issuer, secret: REDACTED },
        ),
      }
    : method;

const redactConsumer = (consumer: ConsumerPlan): ConsumerPlan => ({
  ...consumer,
  apiKeys: consumer.apiKeys.map((key) => ({ ...key, salt: REDACTED, hash: REDACTED })),
  ...(consumer.basic ? { basic: { ...consumer.basic, hash: REDACTED } } : {}),
});
