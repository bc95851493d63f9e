// The next revision: written to the log, and told to everybody.
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import type { Events } from './events.ts';
import type { Folded, NewCommit, PolicyLog } from './policy-log.ts';
import type { Time } from './time.ts';

export interface CommitDeps {
  readonly policy: PolicyLog;
  readonly events: Events;
  readonly time: Time;
}

/** Throws ERR_LOG_CONFLICT when somebody else committed since `base`. */
export const commitChanges = async (
  { policy, events, time }: CommitDeps,
  wanted: Omit<NewCommit, 'atMs'>,
  diagnostics: readonly Diagnostic[],
): Promise<Folded> => {
  const folded = await policy.commit({ ...wanted, atMs: time.now() });
  const { revision, author, message, canary } = folded.commit;
  const ids = wanted.changes.map(({ id }) => id);
  events.tell({
    type: 'policy.committed',
    subject: `r${revision}`,
    data: { revision, author, message, changed: ids, ...(canary !== undefined && { canary }) },
  });
  for (const id of wanted.quarantined.filter((one) => ids.includes(one)))
    events.tell({
      type: 'policy.quarantined',
      subject: id,
      data: {
        revision,
        author,
        diagnostics: diagnostics.filter(({ resource }) => resource === id),
      },
    });
  return folded;
};
