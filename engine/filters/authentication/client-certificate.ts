// The peer's certificate as a credential. TLS has checked it; here it only gets a name.
import type { AuthenticationMethod } from '../../model/snapshot.ts';
import type { FilterBuild } from '../filter.ts';
import { consumerIdentity, consumersOf } from './consumers.ts';
import type { Method } from './identity.ts';

type CertificatePlan = Extract<AuthenticationMethod, { type: 'clientCertificate' }>;

export const clientCertificate = (plan: CertificatePlan, build: FilterBuild): Method => {
  const { byCertificate } = consumersOf(build);
  const wantsSpiffe = plan.principalFrom === 'spiffe';
  return {
    authenticate({ request: { peerPrincipal } }) {
      if (peerPrincipal === undefined) return undefined;
      // A name of another kind than the policy asks for is no name.
      if (peerPrincipal.startsWith('spiffe://') !== wantsSpiffe) return undefined;
      const consumer = byCertificate.get(peerPrincipal);
      const expiresMs = Number.POSITIVE_INFINITY;
      if (consumer !== undefined)
        return consumerIdentity(consumer, {}, { principal: peerPrincipal, expiresMs });
      return {
        type: 'identity',
        principal: peerPrincipal,
        consumer: undefined,
        groups: [],
        claims: undefined,
        headers: [],
        credential: { subject: peerPrincipal },
        expiresMs,
        cleared: undefined,
        recognisedIn: undefined,
      };
    },
    challenge: () => undefined,
  };
};
