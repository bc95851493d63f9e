// Asks for the metrics that rollouts name, and hands what it hears to their analysis. What a value means is decided there.
import { isActive } from '#engine/machines/rollout-state.ts';
import { reasonOf } from '#engine/model/errors.ts';
import {
  fillIn,
  type MetricPlan,
  type MetricReading,
  type MetricVariable,
} from '#engine/model/metric-plan.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import type { Bus } from '#engine/ports/bus.ts';
import type { Web } from '#engine/ports/web.ts';
import { decodeJson, encodeJson } from './codec.ts';
import type { RolloutRun } from './rollout-run.ts';
import type { Time } from './time.ts';

export interface RolloutMetricsDeps {
  readonly web: Web | undefined;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly time: Time;
}

type Variables = Readonly<Record<MetricVariable, string>>;

export class RolloutMetrics {
  readonly #deps: RolloutMetricsDeps;
  /** When each is due next; Infinity while it is being asked. */
  readonly #dueMs = new Map<string, number>();

  constructor(deps: RolloutMetricsDeps) {
    this.#deps = deps;
  }

  /** Once a second, by the leader; answers come in by themselves. */
  poll(runs: Iterable<RolloutRun>): void {
    const nowMs = this.#deps.time.monotonic();
    const named = new Set<string>();
    for (const run of runs) {
      const { machine, analysis } = run.record;
      if (run.broken !== undefined || !analysis || !isActive(machine)) continue;
      if (machine.context.step === 0) continue;
      for (const plan of analysis.plan.analysis.metrics ?? []) {
        // Comes with telemetry.
        if (plan.source.type === 'response') continue;
        const key = `${run.id} ${analysis.canary} ${plan.name}`;
        named.add(key);
        if ((this.#dueMs.get(key) ?? 0) > nowMs) continue;
        this.#dueMs.set(key, Number.POSITIVE_INFINITY);
        void this.#measure(run, plan).finally(() => this.#dueMs.set(key, nowMs + plan.intervalMs));
      }
    }
    for (const key of this.#dueMs.keys()) if (!named.has(key)) this.#dueMs.delete(key);
  }

  async #measure(run: RolloutRun, plan: MetricPlan): Promise<void> {
    const { analysis } = run.record;
    if (!analysis) return;
    const { service: id, baseline, canary } = analysis;
    const [namespace = '', service = ''] = id.split('/');
    const of = (version: string): Variables => ({
      namespace,
      service,
      version,
      baseline,
      canary,
      interval: `${Math.max(1, Math.round(plan.intervalMs / 1000))}s`,
    });
    const isRelative = plan.minRatio !== undefined || plan.maxRatio !== undefined;
    const about = { metric: plan.name, baseline, canary };
    let reading: Omit<MetricReading, 'atMs'>;
    try {
      const [value, baselineValue] = await Promise.all([
        this.#ask(plan, of(canary)),
        ...(isRelative ? [this.#ask(plan, of(baseline))] : []),
      ]);
      reading = {
        ...about,
        ...(value === undefined ? {} : { value }),
        ...(baselineValue === undefined ? {} : { baselineValue }),
      };
    } catch (error) {
      const problem = `could not be measured: ${reasonOf(error)}`;
      reading = { ...about, problem };
    }
    run.measure({ ...reading, atMs: this.#deps.time.now() });
  }

  /** Undefined for an answer that knows no value. */
  async #ask({ source, timeoutMs }: MetricPlan, values: Variables): Promise<number | undefined> {
    const { web, bus, subjects } = this.#deps;
    if (source.type === 'nats') {
      const question = encodeJson({ v: 1, ...values });
      const answer = await bus.request(subjects.metric(source.subject), question, timeoutMs);
      return numberIn(decodeJson(answer, 'the answer'));
    }
    if (source.type === 'response') return undefined;
    if (!web) throw new Error('this control asks nobody');
    const url =
      source.type === 'prometheus'
        ? `${source.url.replace(/\/+$/, '')}/api/v1/query?query=${encodeURIComponent(fillIn(source.query, values))}`
        : fillIn(source.url, mapValues(values, encodeURIComponent));
    const { status, body } = await web.ask({ method: 'GET', url, timeoutMs });
    if (status !== 200) throw new Error(`answered ${status}`);
    const said: unknown = parse(body);
    return source.type === 'prometheus' ? resultIn(said) : numberIn(said);
  }
}

const mapValues = (values: Variables, change: (value: string) => string): Variables =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, change(value)]),
  ) as unknown as Variables;

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body);
  } catch {
    throw new Error('answered no JSON');
  }
};

/** `{"value": 1}`; null or no member is no value. */
const numberIn = (said: unknown): number | undefined => {
  const value = (said as { value?: unknown } | null)?.value;
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw new Error('answered a value that is no number');
  return Number.isFinite(value) ? value : undefined;
};

interface PrometheusAnswer {
  readonly data?: {
    readonly resultType?: unknown;
    readonly result?: unknown;
  };
}

/** A scalar, or the one element of a vector; an empty vector and NaN are no value. */
const resultIn = (said: unknown): number | undefined => {
  const { resultType, result } = (said as PrometheusAnswer | null)?.data ?? {};
  if (!Array.isArray(result) || (resultType !== 'vector' && resultType !== 'scalar'))
    throw new Error('answered neither a scalar nor a vector');
  if (resultType === 'vector' && result.length > 1)
    throw new Error(`answered ${result.length} series where one number is asked for`);
  const pair: unknown =
    resultType === 'scalar' ? result : (result[0] as { value?: unknown } | undefined)?.value;
  if (pair === undefined) return undefined;
  const value = Number(Array.isArray(pair) ? pair[1] : Number.NaN);
  return Number.isFinite(value) ? value : undefined;
};
