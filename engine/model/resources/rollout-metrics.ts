// Metrics that a Rollout is judged by beside errors and response times.
import Type from 'typebox';
import { about, duration, headerName, name, needs, strict } from '../schema.ts';

const template =
  'May name `{{service}}`, `{{namespace}}`, `{{version}}` (the one that is asked about), `{{baseline}}`, `{{canary}}` and `{{interval}}`.';

export const rolloutMetric = strict({
  name: about('Name of the metric.', name()),
  prometheus: about(
    'Ask Prometheus.',
    Type.Optional(
      strict({
        url: about(
          'Address of the server, without `/api/v1/query`.',
          Type.String({ pattern: '^https?://' }),
        ),
        query: about(`Query that gives one number. ${template}`, Type.String({ maxLength: 8192 })),
      }),
    ),
  ),
  http: about(
    'Ask any service for `{"value": 1}`.',
    Type.Optional(
      strict({
        url: about(`Address to ask. ${template}`, Type.String({ pattern: '^https?://' })),
      }),
    ),
  ),
  nats: about(
    'Ask on the bus for `{"value": 1}`; what is asked about is the JSON of the request.',
    Type.Optional(
      strict({
        subject: about(
          'What follows `weir.<mesh>.metric.` in the subject.',
          Type.String({ pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$', maxLength: 200 }),
        ),
      }),
    ),
  ),
  response: about(
    "Read it from the service's own answers, as one number in decimal notation. Judged by a sequential test of the mean, as errors are.",
    Type.Optional(
      needs(
        'response-metrics',
        strict({
          header: about('Name of the header ...', Type.Optional(headerName())),
          trailer: about(
            '... or of the trailer that carries it. gRPC counts as a trailer what stands in an answer of headers only.',
            Type.Optional(headerName()),
          ),
          from: about('Smallest value there is; others are not believed.', Type.Number()),
          to: about(
            'Largest value there is. The narrower the range, the sooner a difference is proven.',
            Type.Number(),
          ),
          strip: about(
            'Whether it is taken off the answer before the caller gets it.',
            Type.Boolean({ default: false }),
          ),
        }),
      ),
    ),
  ),
  min: about('Smallest good value.', Type.Optional(Type.Number())),
  max: about('Largest good value.', Type.Optional(Type.Number())),
  minRatio: about(
    "Smallest good value, as a multiple of the old version's.",
    Type.Optional(Type.Number({ minimum: 0 })),
  ),
  maxRatio: about(
    "Largest good value, as a multiple of the old version's.",
    Type.Optional(Type.Number({ minimum: 0 })),
  ),
  interval: about(
    'How often it is asked. Answers are read all the time.',
    duration({ default: '10s' }),
  ),
  timeout: about('How long the answer may take.', duration({ default: '5s' })),
  failureLimit: about(
    'So many bad values in a row are borne; one more rolls back. Of no meaning for `response`, which is judged by evidence.',
    Type.Integer({ minimum: 0, default: 2 }),
  ),
});
