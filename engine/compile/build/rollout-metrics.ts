// A Rollout's metrics in numbers.
import { parseDuration } from '../../model/duration.ts';
import type { Measure, MetricPlan } from '../../model/metric-plan.ts';
import type { Rollout } from '../../model/resource.ts';

type Metric = NonNullable<Rollout['spec']['metrics']>[number];

export const metricPlan = ({
  interval,
  timeout,
  prometheus,
  http,
  nats,
  response,
  ...rest
}: Metric): MetricPlan => ({
  ...rest,
  source: sourceOf({ prometheus, http, nats, response }),
  intervalMs: parseDuration(interval),
  timeoutMs: parseDuration(timeout),
});

type Sources = {
  readonly [Name in 'prometheus' | 'http' | 'nats' | 'response']: Metric[Name] | undefined;
};

const sourceOf = ({ prometheus, http, nats, response }: Sources): MetricPlan['source'] => {
  if (prometheus) return { type: 'prometheus', ...prometheus };
  if (http) return { type: 'http', ...http };
  return response
    ? { type: 'response', ...placeOf(response) }
    : { type: 'nats', subject: nats?.subject ?? '' };
};

const placeOf = ({
  header,
  trailer,
  from,
  to,
  strip,
}: NonNullable<Metric['response']>): Omit<Measure, 'metric'> => ({
  part: header === undefined ? 'trailer' : 'header',
  name: (header ?? trailer ?? '').toLowerCase(),
  from,
  to,
  strip,
});

/** What data planes have to read from the answers of the service. */
export const measuresOf = (metrics: Rollout['spec']['metrics'] = []): readonly Measure[] =>
  metrics.flatMap(({ name: metric, response }) =>
    response ? [{ metric, ...placeOf(response) }] : [],
  );
