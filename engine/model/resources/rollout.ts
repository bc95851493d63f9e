// Rollout: how a new version of a Service earns its traffic. Defaults are the analysis' own (docs/canary.md).
import Type from 'typebox';
import { about, duration, headerName, name, needs, oneOf, strict } from '../schema.ts';

const webhook = strict({
  name: about('Name of the hook.', name()),
  type: about(
    'When it is called.',
    oneOf([
      'confirm-rollout',
      'pre-rollout',
      'rollout',
      'confirm-traffic-increase',
      'confirm-promotion',
      'post-rollout',
      'rollback',
      'event',
    ]),
  ),
  url: about('Address to call.', Type.String({ pattern: '^https?://' })),
  timeout: about('How long the answer may take.', duration({ default: '10s' })),
});

const analysis = strict(
  {
    alpha: about(
      'At most this share of good releases is rolled back, however long one looks.',
      Type.Number({ exclusiveMinimum: 0, maximum: 0.5, default: 0.01 }),
    ),
    beta: about(
      'At most this share of releases at the margin is promoted.',
      Type.Number({ exclusiveMinimum: 0, maximum: 0.5, default: 0.05 }),
    ),
    maxErrorRatio: about(
      'Rollback needs proof that errors are above this many times those of the baseline ...',
      Type.Number({ minimum: 1, default: 1.25 }),
    ),
    maxErrorRate: about(
      '... and above this share of requests.',
      Type.Number({ minimum: 0, maximum: 1, default: 0.001 }),
    ),
    promoteErrorRatio: about(
      'Promotion needs proof that errors are below this many times those of the baseline ...',
      Type.Number({ minimum: 1, default: 2 }),
    ),
    promoteErrorRate: about(
      '... or below this share of requests.',
      Type.Number({ minimum: 0, maximum: 1, default: 0.003 }),
    ),
    latency: about('Whether response times count.', oneOf(['on', 'off'], { default: 'on' })),
    warmUp: about(
      'For so long from its first traffic on, response times are not held against the new version: processes start cold. Errors are.',
      duration({ default: '3s' }),
    ),
    maxLatencyRatio: about(
      'Rollback needs proof that more than this many times the share of the baseline is slow.',
      Type.Number({ minimum: 1, default: 1.25 }),
    ),
    promoteLatencyRatio: about(
      'Promotion needs proof that less than this many times the share of the baseline is slow, beyond',
      strict(
        {
          p90: about('its 90th percentile,', Type.Number({ minimum: 1, default: 1.5 })),
          p99: about('its 99th percentile.', Type.Number({ minimum: 1, default: 2 })),
        },
        { default: {} },
      ),
    ),
  },
  { default: {} },
);

export const rolloutSpec = strict({
  service: about(
    'Service of the same namespace; its baseline is compared with its newer version.',
    name(),
  ),
  strategy: about(
    'How the new version gets its traffic.',
    Type.Union(
      [
        needs('rollout-canary', Type.Literal('canary')),
        needs('rollout-blue-green', Type.Literal('blueGreen')),
        needs('rollout-ab', Type.Literal('ab')),
        needs('rollout-mirror', Type.Literal('mirror')),
      ],
      { default: 'canary' },
    ),
  ),
  steps: about(
    'Weights of the new version in percent, smallest first; promotion follows the last.',
    Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
      minItems: 1,
      maxItems: 100,
      default: [10, 20, 30, 40, 50],
    }),
  ),
  ramp: about(
    'automatic: where traffic is heavy, begin below the first step, at about 50 requests per second.',
    oneOf(['automatic', 'steps'], { default: 'automatic' }),
  ),
  minStep: about('No step is shorter.', duration({ default: '10s' })),
  minSoak: about('No rollout is shorter.', duration({ default: '60s' })),
  deadline: about(
    'When evidence is still missing after so long, `onInconclusive` decides.',
    duration({ default: '60m' }),
  ),
  onInconclusive: about(
    'hold keeps the weight and waits for an operator.',
    oneOf(['hold', 'rollback', 'advance'], { default: 'hold' }),
  ),
  analysis: about('How much proof is asked for.', analysis),
  override: about(
    'Requests with this header always see the new version, whatever the weight.',
    Type.Optional(
      strict({
        header: about('Name of the header.', headerName()),
        value: about('Its value.', Type.String({ default: 'true' })),
      }),
    ),
  ),
  start: about(
    'Notice new versions by themselves, or wait for a command.',
    oneOf(['automatic', 'manual'], { default: 'automatic' }),
  ),
  webhooks: about(
    'Whom to ask or tell.',
    Type.Optional(needs('rollout-gates', Type.Array(webhook))),
  ),
  approvals: about(
    'Where a person must agree.',
    Type.Optional(
      needs(
        'rollout-gates',
        Type.Array(strict({ before: about('What waits.', oneOf(['start', 'promotion'])) })),
      ),
    ),
  ),
  metrics: about(
    'Further metrics to judge by.',
    Type.Optional(
      needs(
        'rollout-metrics',
        Type.Array(
          strict({
            name: about('Name of the metric.', name()),
            prometheus: about(
              'Ask Prometheus.',
              Type.Optional(
                strict({
                  url: about('Address to ask.', Type.String()),
                  query: about('Query that gives one number.', Type.String()),
                }),
              ),
            ),
            http: about(
              'Ask any service for `{"value": 1}`.',
              Type.Optional(strict({ url: about('Address to ask.', Type.String()) })),
            ),
            min: about('Smallest good value.', Type.Optional(Type.Number())),
            max: about('Largest good value.', Type.Optional(Type.Number())),
          }),
        ),
      ),
    ),
  ),
  group: about(
    'Rollouts of one group stop together.',
    Type.Optional(needs('rollout-group', name())),
  ),
});
