// Quota: how much a caller may ask for.
import Type from 'typebox';
import { duration, headerName, mode, needs, oneOf, strict, targetRef } from '../schema.ts';

export const quotaSpec = strict({
  targetRefs: Type.Array(targetRef, { minItems: 1 }),
  mode,
  /** What is counted apart. `caller` is the authenticated principal, else the address. */
  key: strict(
    {
      by: oneOf(['caller', 'address', 'header', 'route', 'all'], { default: 'caller' }),
      header: Type.Optional(headerName()),
    },
    { default: {} },
  ),
  /** All of these hold together. */
  limits: Type.Array(
    strict({
      requests: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
      window: duration(),
    }),
    { minItems: 1, maxItems: 8 },
  ),
  /** `local`: each agent counts alone. `fleet`: one hard ceiling for all agents. */
  scope: Type.Union(
    [needs('quota-local', Type.Literal('local')), needs('quota-fleet', Type.Literal('fleet'))],
    { default: 'local' },
  ),
  /** `sliding` (two windows, weighted) or `fixed` (calendar windows). */
  algorithm: oneOf(['sliding', 'fixed'], { default: 'sliding' }),
  headers: Type.Boolean({
    default: true,
    description: 'Tell callers: RateLimit, RateLimit-Policy, X-RateLimit-*, Retry-After.',
  }),
  onLedgerFailure: Type.Optional(needs('quota-fleet', oneOf(['closed', 'share', 'open']))),
  status: Type.Integer({ minimum: 400, maximum: 599, default: 429 }),
});
