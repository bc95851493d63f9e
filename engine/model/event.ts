// CloudEvents 1.0 for everyone who listens: `weir.<mesh>.event.<type>`.
export const eventTypes = [
  'policy.committed',
  'policy.quarantined',
  'policyCanary.started',
  'policyCanary.watching',
  'policyCanary.promoting',
  'policyCanary.promoted',
  'policyCanary.reverted',
  'policyCanary.inconclusive',
  'policyCanary.aborted',
  'snapshot.published',
  'agent.joined',
  'agent.left',
  'agent.rejected',
  'agent.orphan',
  'agent.stale',
  'agent.static',
  'rollout.started',
  'rollout.stepped',
  'rollout.held',
  'rollout.resumed',
  'rollout.paused',
  'rollout.promoting',
  'rollout.promoted',
  'rollout.rolledBack',
  'rollout.inconclusive',
  'rollout.aborted',
  'rollout.undone',
  'rollout.waiting',
  'rollout.approved',
  'rollout.rejected',
  'rollout.regressed',
  'rollout.failed',
  'breaker.opened',
  'breaker.halfOpened',
  'breaker.closed',
  'retries.limited',
  'retries.released',
  'decision.standing',
  'decision.retired',
  'access.denied',
  'access.audited',
  'keys.rotated',
  'keys.unreachable',
  'keys.recovered',
  'keys.expired',
  'state.unreadable',
  'control.elected',
  'control.deposed',
] as const;

export type EventType = (typeof eventTypes)[number];

export interface Event {
  readonly specversion: '1.0';
  readonly id: string;
  /** `weir.<type>` */
  readonly type: `weir.${EventType}`;
  /** `/control/<instance>` or `/agent/<agent>` */
  readonly source: string;
  readonly subject: string;
  /** RFC 3339 */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Readonly<Record<string, unknown>>;
}
