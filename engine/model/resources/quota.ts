// Quota: how much a caller may ask for.
import Type from 'typebox';
import { about, duration, headerName, mode, needs, oneOf, strict, targetRef } from '../schema.ts';

export const quotaSpec = strict({
  targetRefs: about(
    'Where it applies. Quotas of less specific targets apply too.',
    Type.Array(targetRef, { minItems: 1 }),
  ),
  mode: about('enforce refuses, audit logs what it would have refused, off does nothing.', mode),
  key: about(
    'What is counted apart.',
    strict(
      {
        by: about(
          'caller is the authenticated principal, else the address.',
          oneOf(['caller', 'address', 'header', 'route', 'all'], { default: 'caller' }),
        ),
        header: about('Header to count by, with `by: header`.', Type.Optional(headerName())),
      },
      { default: {} },
    ),
  ),
  limits: about(
    'All of these hold together.',
    Type.Array(
      strict({
        requests: about(
          'So many requests ...',
          Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
        ),
        window: about('... in so long a time, at least 1s.', duration()),
      }),
      { minItems: 1, maxItems: 8 },
    ),
  ),
  scope: about(
    'local: each agent counts alone. fleet: one hard ceiling for all agents.',
    Type.Union(
      [needs('quota-local', Type.Literal('local')), needs('quota-fleet', Type.Literal('fleet'))],
      { default: 'local' },
    ),
  ),
  algorithm: about(
    'sliding: two windows, weighted. fixed: calendar windows.',
    oneOf(['sliding', 'fixed'], { default: 'sliding' }),
  ),
  headers: about(
    'Tell callers: RateLimit, RateLimit-Policy, X-RateLimit-*, Retry-After.',
    Type.Boolean({
      default: true,
    }),
  ),
  onLedgerFailure: about(
    'What to do while the ledger of a fleet quota is away.',
    Type.Optional(needs('quota-fleet', oneOf(['closed', 'share', 'open']))),
  ),
  status: about(
    'Status code of a refusal.',
    Type.Integer({ minimum: 400, maximum: 599, default: 429 }),
  ),
});
