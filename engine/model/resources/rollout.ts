// Rollout: how a new version of a Service earns its traffic. Defaults are the analysis' own (docs/canary.md).
import Type from 'typebox';
import { duration, headerName, name, needs, oneOf, strict } from '../schema.ts';

const webhook = strict({
  name: name(),
  type: oneOf([
    'confirm-rollout',
    'pre-rollout',
    'rollout',
    'confirm-traffic-increase',
    'confirm-promotion',
    'post-rollout',
    'rollback',
    'event',
  ]),
  url: Type.String({ pattern: '^https?://' }),
  timeout: duration({ default: '10s' }),
});

const analysis = strict(
  {
    /** At most this share of good releases is rolled back, however long one looks. */
    alpha: Type.Number({ exclusiveMinimum: 0, maximum: 0.5, default: 0.01 }),
    /** At most this share of releases at the margin is promoted. */
    beta: Type.Number({ exclusiveMinimum: 0, maximum: 0.5, default: 0.05 }),
    /** Rollback null: canary errors are at most this many times the baseline's ... */
    maxErrorRatio: Type.Number({ minimum: 1, default: 1.25 }),
    /** ... or at most this share of its requests. */
    maxErrorRate: Type.Number({ minimum: 0, maximum: 1, default: 0.001 }),
    /** Promotion needs proof that errors are below this many times the baseline's ... */
    promoteErrorRatio: Type.Number({ minimum: 1, default: 2 }),
    /** ... or below this share. */
    promoteErrorRate: Type.Number({ minimum: 0, maximum: 1, default: 0.003 }),
    latency: oneOf(['on', 'off'], { default: 'on' }),
    maxLatencyRatio: Type.Number({ minimum: 1, default: 1.25 }),
    promoteLatencyRatio: strict(
      {
        p90: Type.Number({ minimum: 1, default: 1.5 }),
        p99: Type.Number({ minimum: 1, default: 2 }),
      },
      { default: {} },
    ),
  },
  { default: {} },
);

export const rolloutSpec = strict({
  service: name(),
  strategy: Type.Union(
    [
      needs('rollout-canary', Type.Literal('canary')),
      needs('rollout-blue-green', Type.Literal('blueGreen')),
      needs('rollout-ab', Type.Literal('ab')),
      needs('rollout-mirror', Type.Literal('mirror')),
    ],
    { default: 'canary' },
  ),
  /** Weights of the new version in percent, smallest first; promotion follows the last. */
  steps: Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
    minItems: 1,
    maxItems: 100,
    default: [10, 20, 30, 40, 50],
  }),
  /** automatic: where traffic is heavy, begin below the first step, at about 50 requests per second. */
  ramp: oneOf(['automatic', 'steps'], { default: 'automatic' }),
  minStep: duration({ default: '10s' }),
  minSoak: duration({ default: '60s' }),
  deadline: duration({ default: '60m' }),
  onInconclusive: oneOf(['hold', 'rollback', 'advance'], { default: 'hold' }),
  analysis,
  /** Requests with this header always see the new version, whatever the weight. */
  override: Type.Optional(
    strict({ header: headerName(), value: Type.String({ default: 'true' }) }),
  ),
  /** Notice new versions by themselves, or wait for a command. */
  start: oneOf(['automatic', 'manual'], { default: 'automatic' }),
  webhooks: Type.Optional(needs('rollout-gates', Type.Array(webhook))),
  approvals: Type.Optional(
    needs('rollout-gates', Type.Array(strict({ before: oneOf(['start', 'promotion']) }))),
  ),
  metrics: Type.Optional(
    needs(
      'rollout-metrics',
      Type.Array(
        strict({
          name: name(),
          prometheus: Type.Optional(strict({ url: Type.String(), query: Type.String() })),
          http: Type.Optional(strict({ url: Type.String() })),
          min: Type.Optional(Type.Number()),
          max: Type.Optional(Type.Number()),
        }),
      ),
    ),
  ),
  group: Type.Optional(needs('rollout-group', name())),
});
