// Authorizations, quotas and consumers as data planes read them.
import { parseDuration } from '../../model/duration.ts';
import { parseMoment } from '../../model/moment.ts';
import type {
  AuthorizationPlan,
  CallOutPlan,
  ConsumerPlan,
  Origin,
  QuotaPlan,
} from '../../model/snapshot.ts';
import type { AnyDraft, Draft } from '../findings.ts';

export const policyKey = ({ resource: { metadata } }: AnyDraft): string =>
  `${metadata.namespace}/${metadata.name}`;

export const originOf = ({ id, document }: AnyDraft): Origin => {
  const { file, line } = document.locate([]);
  return { resource: id, file, line };
};

export const authorizationPlan = (draft: Draft<'Authorization'>): AuthorizationPlan => {
  const { action, mode, rules, provider } = draft.resource.spec;
  return {
    origin: originOf(draft),
    action,
    ...(provider && { provider: callOutPlan(provider) }),
    mode,
    rules: rules.map(({ from, to, when, cel }) => ({
      ...(from && { from: from.map(({ source }) => source) }),
      ...(to && { to: to.map(({ operation }) => operation) }),
      ...(when && { when }),
      ...(cel !== undefined && { cel }),
    })),
  };
};

interface CallOutSpec extends Omit<CallOutPlan, 'timeoutMs'> {
  readonly timeout: string;
}

export const callOutPlan = (spec: CallOutSpec): CallOutPlan => ({
  url: spec.url,
  timeoutMs: parseDuration(spec.timeout),
  requestHeaders: spec.requestHeaders.map((header) => header.toLowerCase()),
  responseHeaders: spec.responseHeaders.map((header) => header.toLowerCase()),
  onFailure: spec.onFailure,
});

export const quotaPlan = (draft: Draft<'Quota'>): QuotaPlan => {
  const { mode, key, limits, scope, algorithm, headers, status } = draft.resource.spec;
  return {
    id: policyKey(draft),
    origin: originOf(draft),
    mode,
    by: key.by,
    ...(key.header !== undefined && { header: key.header.toLowerCase() }),
    limits: limits.map(({ requests, window }) => ({ requests, windowMs: parseDuration(window) })),
    scope,
    algorithm,
    headers,
    status,
  };
};

export const consumerName = ({ resource: { metadata, spec } }: Draft<'Consumer'>): string =>
  spec.username ?? metadata.name;

export const consumerPlan = (draft: Draft<'Consumer'>): ConsumerPlan => {
  const { groups, apiKeys, basic, jwt, certificates } = draft.resource.spec;
  return {
    name: consumerName(draft),
    groups,
    apiKeys: (apiKeys ?? []).map(({ id, salt, hash, expires }) => ({
      id,
      salt,
      hash,
      expiresMs: expires === undefined ? 0 : (parseMoment(expires) ?? 0),
    })),
    ...(basic && { basic }),
    ...(jwt && { jwt }),
    certificates: certificates ?? [],
  };
};
