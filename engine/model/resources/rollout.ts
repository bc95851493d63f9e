// Rollout: how a new version of a Service earns its traffic. Defaults are the analysis' own (docs/canary.md).
import Type from 'typebox';
import { about, duration, headerName, name, needs, oneOf, strict } from '../schema.ts';
import { rolloutMetric } from './rollout-metrics.ts';

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
  interval: about('How soon it is asked again.', duration({ default: '10s' })),
  failureThreshold: about(
    'pre-rollout, rollout: after so many refusals in a row the version is rolled back.',
    Type.Integer({ minimum: 1, default: 5 }),
  ),
  metadata: about(
    'Sent along.',
    Type.Record(Type.String({ maxLength: 253 }), Type.String({ maxLength: 4096 }), { default: {} }),
  ),
});

const exactHost = () =>
  Type.String({ maxLength: 253, pattern: '^[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?$' });
const cookieName = () => Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", maxLength: 256 });

const timeOfDay = () => Type.String({ pattern: '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$' });
const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
const moment = () => Type.String({ title: 'RFC 3339', maxLength: 40 });

const schedule = strict({
  timezone: about('Name of the IANA database.', Type.String({ default: 'UTC', maxLength: 64 })),
  windows: about(
    'Only inside of these does the new version gain traffic; without any there is no such limit.',
    Type.Array(
      strict({
        days: about(
          'On which a window begins.',
          Type.Array(oneOf(weekdays), { minItems: 1, default: [...weekdays] }),
        ),
        from: about('Local time, `09:00`.', timeOfDay()),
        to: about('Local time; before `from` it means the next day.', timeOfDay()),
      }),
      { default: [], maxItems: 100 },
    ),
  ),
  freezes: about(
    'In these it never does.',
    Type.Array(
      strict({
        from: about('Begin, `2026-12-18T00:00:00Z`.', moment()),
        to: about('End.', moment()),
        reason: about('For people.', Type.Optional(Type.String({ maxLength: 1024 }))),
      }),
      { default: [], maxItems: 100 },
    ),
  ),
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
  preview: about(
    'blueGreen: who asks for this host sees the new version before anybody else. A Route has to name the host too.',
    Type.Optional(needs('rollout-blue-green', strict({ host: about('Exact name.', exactHost()) }))),
  ),
  cohort: about(
    'ab: whose requests go to the new version for the duration of the rollout.',
    Type.Optional(
      needs(
        'rollout-ab',
        strict({
          header: about('Requests with this header ...', Type.Optional(headerName())),
          cookie: about('... or with this cookie ...', Type.Optional(cookieName())),
          value: about('... of exactly this value.', Type.String({ maxLength: 4096 })),
        }),
      ),
    ),
  ),
  mirror: about(
    'mirror: copies of requests without a body go to the new version first, and nobody sees its answers; the steps follow.',
    Type.Optional(
      needs(
        'rollout-mirror',
        strict({
          percent: about(
            'Share of the requests.',
            Type.Number({ exclusiveMinimum: 0, maximum: 100, default: 100 }),
          ),
          duration: about('No shorter than this,', duration({ default: '60s' })),
          minRequests: about(
            'and not before so many answers.',
            Type.Integer({ minimum: 0, default: 100 }),
          ),
        }),
      ),
    ),
  ),
  steps: about(
    'Weights of the new version in percent, smallest first; promotion follows the last. Of canary and mirror.',
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
        Type.Array(
          strict({
            before: about(
              'What waits: the first traffic, every further step, or the promotion.',
              oneOf(['start', 'step', 'promotion']),
            ),
          }),
        ),
      ),
    ),
  ),
  schedule: about(
    'When the new version may gain traffic. A rollback waits for nothing.',
    Type.Optional(needs('rollout-gates', schedule)),
  ),
  watch: about(
    'For so long after the promotion a regression takes it back. 0s: not at all.',
    duration({ default: '5m' }),
  ),
  minRequests: about(
    'No promotion before the new version has answered so many requests.',
    Type.Optional(needs('rollout-gates', Type.Integer({ minimum: 0 }))),
  ),
  metrics: about(
    'Further metrics to judge by.',
    Type.Optional(needs('rollout-metrics', Type.Array(rolloutMetric, { maxItems: 20 }))),
  ),
  group: about(
    'Rollouts of one group (of one namespace) are promoted together and rolled back together.',
    Type.Optional(needs('rollout-group', name())),
  ),
});
