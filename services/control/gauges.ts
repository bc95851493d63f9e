// Numbers that are looked up when somebody asks, rather than counted as things happen.
import type { Breakers } from '#engine/machines/breakers.ts';
import type { Parts } from './parts.ts';
import { newestFor } from './published.ts';
import type { Time } from './time.ts';

export const refreshMetrics = (parts: Parts, time: Time): void => {
  const { metrics, policy, ring, fleet, rollouts, canaries, breakers, leadership, published } =
    parts;
  metrics.set('weir_policy_revision', policy.state.revision);
  metrics.set('weir_policy_quarantined', ring.result?.quarantined.length ?? 0);
  metrics.set('weir_leader', leadership.term ? 1 : 0);
  metrics.set('weir_leader_epoch', leadership.leader.epoch);
  const agents = new Map<string, number>();
  let stalestMs = 0;
  for (const { beat, lost, position } of fleet.agents.values()) {
    const state = lost ? 'lost' : beat.state;
    agents.set(state, (agents.get(state) ?? 0) + 1);
    const said = published.of(beat.scope);
    const newest = Math.max(
      said.snapshot?.issuedMs ?? 0,
      ...[...said.decisions.values()].map(({ issuedMs }) => issuedMs),
    );
    if (!lost && position < newestFor(said, beat.agent))
      stalestMs = Math.max(stalestMs, time.now() - newest);
  }
  metrics.setAll('weir_agents', 'state', agents);
  metrics.set('weir_policy_staleness_seconds', stalestMs / 1000);
  const states = new Map<string, number>();
  for (const { broken, record } of rollouts.runs.values()) {
    const state = broken === undefined ? record.machine.phase : 'broken';
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  metrics.setAll('weir_rollouts', 'state', states);
  metrics.setAll('weir_policy_canaries', 'state', new Map(canaries.phase && [[canaries.phase, 1]]));
  metrics.setAll('weir_breakers', 'state', phasesOf(breakers.state));
};

const phasesOf = ({ breakers }: Breakers): ReadonlyMap<string, number> => {
  const phases = new Map([
    ['open', 0],
    ['halfOpen', 0],
  ]);
  for (const { phase } of Object.values(breakers))
    if (phase !== 'closed') phases.set(phase, (phases.get(phase) ?? 0) + 1);
  return phases;
};
