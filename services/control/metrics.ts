// Numbers of the control plane in Prometheus' text format.
type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
}

export const families = {
  weir_commits_total: { type: 'counter', help: 'Policy commits folded.' },
  weir_compiles_total: { type: 'counter', help: 'Compiles of the policy set.' },
  weir_compile_seconds_total: { type: 'counter', help: 'Time spent compiling.' },
  weir_published_messages_total: { type: 'counter', help: 'Control messages published, by type.' },
  weir_published_bytes_total: { type: 'counter', help: 'Bytes of control messages published.' },
  weir_restored_messages_total: {
    type: 'counter',
    help: 'Control messages put back after somebody else wrote over them.',
  },
  weir_acks_total: { type: 'counter', help: 'Acks from agents, by outcome.' },
  weir_samples_total: { type: 'counter', help: 'Samples received.' },
  weir_dropped_messages_total: {
    type: 'counter',
    help: 'Messages from agents that could not be understood, by kind.',
  },
  weir_propagation_seconds: {
    type: 'histogram',
    help: 'From publishing to the ack of an agent, by the clock of control.',
  },
  weir_policy_revision: { type: 'gauge', help: 'Revision of the policy set.' },
  weir_policy_quarantined: { type: 'gauge', help: 'Resources that do not compile.' },
  weir_policy_staleness_seconds: {
    type: 'gauge',
    help: 'Longest time that a live agent has been behind its scope.',
  },
  weir_agents: { type: 'gauge', help: 'Agents, by state.' },
  weir_rollouts: { type: 'gauge', help: 'Rollouts, by state.' },
  weir_policy_canaries: { type: 'gauge', help: 'The last policy canary, by state.' },
  weir_breakers: { type: 'gauge', help: 'Breakers that are not closed, by state.' },
  weir_leader: { type: 'gauge', help: '1 while this process leads.' },
  weir_leader_epoch: { type: 'gauge', help: 'Epoch of the leader.' },
  weir_api_requests_total: { type: 'counter', help: 'Admin API requests, by operation and code.' },
  weir_errors_total: { type: 'counter', help: 'Unexpected errors, by place.' },
} as const satisfies Record<string, Family>;

export type Metric = keyof typeof families;

const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const escape = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
};

export class Metrics {
  readonly #values = new Map<Metric, Map<string, number>>();
  readonly #buckets = BOUNDS.map(() => 0);
  #count = 0;
  #sum = 0;

  add(metric: Metric, by = 1, labels: Labels = {}): void {
    const series = this.#series(metric);
    const key = labelText(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  set(metric: Metric, value: number, labels: Labels = {}): void {
    this.#series(metric).set(labelText(labels), value);
  }

  /** Replaces every series of a gauge. */
  setAll(metric: Metric, label: string, values: ReadonlyMap<string, number>): void {
    this.#series(metric).clear();
    for (const [value, number] of values) this.set(metric, number, { [label]: value });
  }

  propagated(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    for (const [index, bound] of BOUNDS.entries())
      if (seconds <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, { type, help }] of Object.entries(families) as [Metric, Family][]) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      if (type === 'histogram') lines.push(...this.#histogram(name));
      else
        for (const [labels, value] of this.#series(name)) lines.push(`${name}${labels} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }

  #histogram(name: string): string[] {
    const lines = BOUNDS.map(
      (bound, index) => `${name}_bucket{le="${bound}"} ${this.#buckets[index]}`,
    );
    lines.push(`${name}_bucket{le="+Inf"} ${this.#count}`);
    lines.push(`${name}_sum ${this.#sum}`, `${name}_count ${this.#count}`);
    return lines;
  }

  #series(metric: Metric): Map<string, number> {
    let series = this.#values.get(metric);
    if (!series) {
      series = new Map();
      this.#values.set(metric, series);
    }
    return series;
  }
}
