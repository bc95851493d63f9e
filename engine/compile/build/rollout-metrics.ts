// A Rollout's metrics in numbers.
import { parseDuration } from '../../model/duration.ts';
import type { MetricPlan } from '../../model/metric-plan.ts';
import type { Rollout } from '../../model/resource.ts';

type Metric = NonNullable<Rollout['spec']['metrics']>[number];

export const metricPlan = ({
  interval,
  timeout,
  prometheus,
  http,
  nats,
  ...rest
}: Metric): MetricPlan => ({
  ...rest,
  source: prometheus
    ? { type: 'prometheus', ...prometheus }
    : http
      ? { type: 'http', ...http }
      : { type: 'nats', subject: nats?.subject ?? '' },
  intervalMs: parseDuration(interval),
  timeoutMs: parseDuration(timeout),
});
