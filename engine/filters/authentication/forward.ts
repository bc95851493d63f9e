// Another service says who is calling, or what the caller is to do about it.
import type { AuthenticationMethod } from '../../model/snapshot.ts';
import { adoptAnswer, askAuthorizer, authorizerAway } from '../ask-authorizer.ts';
import type { FilterBuild } from '../filter.ts';
import type { Identity, Method } from './identity.ts';

type ForwardPlan = Extract<AuthenticationMethod, { type: 'forward' }>;

export const forward = (plan: ForwardPlan, build: FilterBuild): Method => {
  const { web } = build.deps;
  const issuer = new URL(plan.url).origin;
  return {
    async authenticate(exchange) {
      const verdict = await askAuthorizer(plan, exchange, web);
      switch (verdict.type) {
        case 'pass': {
          adoptAnswer(plan, exchange, verdict.answer);
          const { principalHeader } = plan;
          const subject =
            principalHeader === undefined ? undefined : verdict.answer.headers[principalHeader];
          return subject === undefined
            ? { type: 'pass', note: `${plan.url} lets it pass` }
            : caller(issuer, subject);
        }
        case 'refuse':
          return { type: 'failure', reason: verdict.respond.reason, respond: verdict.respond };
        case 'silence': {
          if (plan.onFailure === 'open')
            return { type: 'pass', note: `unasked: ${verdict.reason}` };
          const { reason, status } = authorizerAway;
          return { type: 'failure', reason, status, cause: verdict.reason };
        }
      }
    },
    challenge: () => undefined,
  };
};

const caller = (issuer: string, subject: string): Identity => ({
  type: 'identity',
  principal: `${issuer}/${subject}`,
  consumer: undefined,
  groups: [],
  claims: undefined,
  headers: [],
  credential: { issuer, subject },
  expiresMs: 0,
  cleared: undefined,
  recognisedIn: undefined,
});
