// What can be said about a resource without looking at any other.
import type { Kind, Resource } from '../../model/resource.ts';
import type { AnyDraft, Finding } from '../findings.ts';
import { checkAuthentication, checkConsumer, checkQuota } from './check-access.ts';
import { checkAuthorization } from './check-authorization.ts';
import { checkGateway } from './check-gateway.ts';
import { checkRollout } from './check-rollout.ts';
import { checkRoute } from './check-route.ts';
import { checkService } from './check-service.ts';

type Checks = {
  readonly [K in Kind]?: (resource: Extract<Resource, { kind: K }>) => readonly Finding[];
};

const checks: Checks = {
  Gateway: checkGateway,
  Service: checkService,
  Route: checkRoute,
  Authentication: checkAuthentication,
  Authorization: checkAuthorization,
  Consumer: checkConsumer,
  Quota: checkQuota,
  Rollout: checkRollout,
};

const remembered = new WeakMap<Resource, readonly Finding[]>();

export const ownFindings = ({ kind, resource }: AnyDraft): readonly Finding[] => {
  const known = remembered.get(resource);
  if (known) return known;
  const check = checks[kind] as ((resource: Resource) => readonly Finding[]) | undefined;
  const findings = check?.(resource) ?? [];
  remembered.set(resource, findings);
  return findings;
};
