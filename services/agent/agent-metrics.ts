// Everything that `/metrics` of an agent shows.
import type { OwnWorkload } from '#adapters/metrics-prometheus/peers.ts';
import {
  type ProcessMetrics,
  processFamilies,
  watchProcess,
} from '#adapters/metrics-prometheus/process-metrics.ts';
import { type Family, Registry } from '#adapters/metrics-prometheus/registry.ts';
import { recordRequests, requestFamilies } from '#adapters/metrics-prometheus/request-metrics.ts';
import type { Ack } from '#engine/model/telemetry.ts';
import type { SampleFacts } from '#engine/ports/data-plane.ts';
import type { AgentStatus } from './status.ts';

const families = {
  ...requestFamilies,
  weir_policy_revision: { type: 'gauge', help: 'Revision in force; 0 while there is none.' },
  weir_policy_position: { type: 'gauge', help: 'Highest position applied.' },
  weir_policy_staleness_seconds: {
    type: 'gauge',
    help: 'Since control last confirmed that what is in force is the newest.',
  },
  weir_agent_state: { type: 'gauge', help: '1 for the state that the agent is in.' },
  weir_control_messages_total: {
    type: 'counter',
    help: 'Control messages by type and outcome.',
  },
  weir_activation_seconds: {
    type: 'histogram',
    help: 'From receipt of a control message to in force.',
    bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  },
  weir_retries_total: { type: 'counter', help: 'Retried requests, by destination.' },
  weir_sheds_total: {
    type: 'counter',
    help: 'Requests turned away to protect the service or the proxy, by destination.',
  },
  weir_dropped_messages_total: {
    type: 'counter',
    help: 'Messages not sent because the bus was away for too long, by kind.',
  },
  weir_build_info: { type: 'gauge', help: 'Always 1; the labels say what is running.' },
  ...processFamilies,
} as const satisfies Record<string, Family>;

interface Outcomes {
  readonly outcomes: SampleFacts['outcomes'] | undefined;
}

const STATES = ['live', 'static', 'starting', 'draining'] as const;

export class AgentMetrics {
  readonly #registry = new Registry<keyof typeof families>(families);
  readonly #process: ProcessMetrics = watchProcess();
  readonly #own: OwnWorkload;

  constructor(own: OwnWorkload, build: Readonly<Record<string, string>>) {
    this.#own = own;
    this.#registry.set('weir_build_info', 1, build);
  }

  sampled(facts: Pick<SampleFacts, 'reporter' | 'series'> & Outcomes): void {
    recordRequests(this.#registry, this.#own, facts);
    for (const { service, retries, sheds = 0 } of facts.series) {
      const labels = { destination_service: service };
      if (retries > 0) this.#registry.add('weir_retries_total', retries, labels);
      if (sheds > 0) this.#registry.add('weir_sheds_total', sheds, labels);
    }
  }

  acked({ message, outcome, tookMs }: Ack): void {
    this.#registry.add('weir_control_messages_total', 1, { type: message, outcome });
    if (outcome !== 'applied') return;
    const bounds = families.weir_activation_seconds.bounds;
    const index = bounds.findIndex((bound) => tookMs / 1000 <= bound);
    const counts = Array.from({ length: bounds.length + 1 }, () => 0);
    counts[index === -1 ? bounds.length : index] = 1;
    this.#registry.observe('weir_activation_seconds', { counts, sum: tookMs / 1000 });
  }

  dropped(kind: string): void {
    this.#registry.add('weir_dropped_messages_total', 1, { kind });
  }

  text(status: AgentStatus): string {
    this.#registry.set('weir_policy_revision', status.revision);
    this.#registry.set('weir_policy_position', status.position);
    this.#registry.set('weir_policy_staleness_seconds', status.stalenessMs / 1000);
    for (const state of STATES)
      this.#registry.set('weir_agent_state', status.state === state ? 1 : 0, { state });
    this.#process.update(this.#registry);
    return this.#registry.text();
  }

  close(): void {
    this.#process.close();
  }
}
