// The peer's certificate as a credential. TLS has checked it; here it only gets a name.
import type { AuthenticationMethod } from '../../model/snapshot.ts';
import type { RequestView } from '../../pipeline/exchange.ts';
import type { FilterBuild } from '../filter.ts';
import { consumerIdentity, consumersOf } from './consumers.ts';
import type { Method } from './identity.ts';

type CertificatePlan = Extract<AuthenticationMethod, { type: 'clientCertificate' }>;

export const clientCertificate = (plan: CertificatePlan, build: FilterBuild): Method => {
  const { byCertificate } = consumersOf(build);
  const namesOf = namesBy[plan.principalFrom];
  return {
    authenticate({ request }) {
      const names = namesOf(request);
      const expiresMs = Number.POSITIVE_INFINITY;
      for (const principal of names) {
        const consumer = byCertificate.get(principal);
        if (consumer !== undefined)
          return consumerIdentity(consumer, { subject: principal }, { principal, expiresMs });
      }
      const [principal] = names;
      if (principal === undefined) return undefined;
      return {
        type: 'identity',
        principal,
        consumer: undefined,
        groups: [],
        claims: undefined,
        headers: [],
        credential: { subject: principal },
        expiresMs,
        cleared: undefined,
        recognisedIn: undefined,
      };
    },
    challenge: () => undefined,
  };
};

/** A name of another kind than the policy asks for is no name. */
const namesBy: Readonly<
  Record<CertificatePlan['principalFrom'], (request: RequestView) => readonly string[]>
> = {
  spiffe: ({ peerPrincipal }) => (peerPrincipal?.startsWith('spiffe://') ? [peerPrincipal] : none),
  dns: ({ peerNames }) => peerNames?.dns ?? none,
  subject: ({ peerNames }) => (peerNames?.subject === undefined ? none : [peerNames.subject]),
};

const none: readonly string[] = [];
