import type { ResourceId } from '../../model/resource.ts';
import type { Action } from '../../model/snapshot.ts';

/** What a protected rule does while its protection cannot be enforced. */
export const closedAction = (policies: readonly ResourceId[]): Action => ({
  type: 'respond',
  status: 503,
  body: JSON.stringify({
    error: 'Service Unavailable',
    reason: `closed while ${policies.join(', ')} cannot be enforced`,
  }),
  contentType: 'application/json',
});
