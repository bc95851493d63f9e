// The operations on the policy set.
import type {
  ApplyAnswer,
  ApplyRequest,
  Caller,
  DeleteRequest,
  GetAnswer,
  GetRequest,
  HistoryAnswer,
  HistoryRequest,
  RollbackRequest,
  WaitAnswer,
  WaitFor,
} from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { CanaryOptions } from '#engine/model/policy-canary.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import { commitChanges } from '../commit-changes.ts';
import type { Events } from '../events.ts';
import type { Leadership } from '../leadership.ts';
import type { PolicyCanaries } from '../policy-canaries.ts';
import type { Folded, PolicyLog } from '../policy-log.ts';
import type { PolicyState } from '../policy-state.ts';
import type { Ring } from '../ring.ts';
import type { Time } from '../time.ts';
import { type Proposal, propose, type Wanted, wantedBy, wantedFor } from './proposal.ts';

/** Somebody else's commit is one more reason to try again; a conflict without one is not, so often in a row. */
const BARREN_ATTEMPTS = 10;
const PATIENCE_MS = 20_000;

export interface PolicyApiDeps {
  readonly policy: PolicyLog;
  readonly ring: Ring;
  readonly events: Events;
  readonly time: Time;
  readonly canaries: PolicyCanaries;
  readonly leadership: Leadership;
  readonly waitUntilApplied: (revision: number, wait: WaitFor) => Promise<WaitAnswer>;
}

interface Intent {
  readonly author: string;
  readonly message: string;
  readonly wanted: (state: PolicyState) => Wanted | Promise<Wanted>;
  readonly expectRevision?: number | undefined;
  readonly allOrNothing?: boolean | undefined;
  readonly wait?: WaitFor | undefined;
}

export const createPolicyApi = (deps: PolicyApiDeps) => {
  const { policy, ring, canaries, leadership } = deps;
  const inTurn = createTurns();

  const prepare = async (intent: Intent): Promise<Proposal> => {
    const base = policy.state;
    if (intent.expectRevision !== undefined && intent.expectRevision !== base.revision)
      throw conflict(intent.expectRevision, base.revision);
    const wanted = await intent.wanted(base);
    return propose(base, ring.result, wanted, (state) => ring.preview(state));
  };

  const answerOf = ({ answer }: Proposal, revision: number, dryRun: boolean): ApplyAnswer => ({
    revision,
    dryRun,
    ...answer,
  });

  const commit = async (intent: Intent): Promise<ApplyAnswer> => {
    const answer = await inTurn(() => commitNow(intent));
    return intent.wait
      ? { ...answer, wait: await deps.waitUntilApplied(answer.revision, intent.wait) }
      : answer;
  };

  /**
   * Tries again on the newest set when another replica was faster, unless the caller named a revision. A busy replica loses
   * many times in a row against an idle one.
   */
  const commitNow = async (intent: Intent): Promise<ApplyAnswer> => {
    const untilMs = deps.time.monotonic() + PATIENCE_MS;
    for (let barren = 0; ; barren += 1) {
      await canaries.requireNone();
      const proposal = await prepare(intent);
      refuse(proposal, intent.allOrNothing === true);
      if (proposal.changes.length === 0) return answerOf(proposal, proposal.base.revision, false);
      try {
        const folded = await append(intent, proposal);
        const applied = answerOf(proposal, folded.commit.revision, false);
        return { ...applied, changes: applied.changes.map(({ id, change }) => ({ id, change })) };
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'ERR_LOG_CONFLICT') throw error;
        await policy.catchUp();
        const { revision } = policy.state;
        if (revision > proposal.base.revision) barren = 0;
        if (barren >= BARREN_ATTEMPTS || deps.time.monotonic() >= untilMs)
          throw conflict(proposal.base.revision, revision);
      }
    }
  };

  const append = async (intent: Intent, { base, changes, result }: Proposal): Promise<Folded> => {
    const { author, message } = intent;
    const { quarantined, diagnostics } = result;
    return commitChanges(deps, { base, changes, author, message, quarantined }, diagnostics);
  };

  /** Nothing is committed yet, and nothing of it may be refused: half a revision proves nothing about the whole. */
  const tryOut = (intent: Intent, options: CanaryOptions): Promise<ApplyAnswer> =>
    inTurn(async () => {
      leadership.require();
      await canaries.requireNone();
      const proposal = await prepare(intent);
      refuse(proposal, true);
      const { base, changes, result } = proposal;
      const answer = answerOf(proposal, base.revision, false);
      if (changes.length === 0) return answer;
      const { author, message } = intent;
      const { quarantined } = result;
      const wanted = { base: base.revision, author, message, changes, quarantined };
      return { ...answer, canary: await canaries.start(wanted, options) };
    });

  return {
    apply: async (caller: Caller, request: ApplyRequest): Promise<ApplyAnswer> => {
      const intent: Intent = {
        author: caller.name,
        message: request.message ?? '',
        wanted: () => wantedBy(request.documents),
        expectRevision: request.expectRevision,
        allOrNothing: request.allOrNothing,
        wait: request.wait,
      };
      if (request.canary && request.dryRun !== true) return tryOut(intent, request.canary);
      if (request.dryRun !== true) return commit(intent);
      const proposal = await prepare(intent);
      return answerOf(proposal, proposal.base.revision, true);
    },

    diff: async (caller: Caller, request: ApplyRequest): Promise<ApplyAnswer> => {
      const proposal = await prepare({
        author: caller.name,
        message: '',
        wanted: () => wantedBy(request.documents),
        expectRevision: request.expectRevision,
      });
      return answerOf(proposal, proposal.base.revision, true);
    },

    delete: (caller: Caller, request: DeleteRequest): Promise<ApplyAnswer> =>
      commit({
        author: caller.name,
        message: request.message ?? '',
        wanted: (state) => {
          const ids = request.ids as ResourceId[];
          const missing = ids.filter((id) => !state.sources.has(id));
          if (missing.length > 0) throw notFound(`there is no ${missing.join(', ')}`);
          const sources = new Map(ids.map((id) => [id, undefined]));
          return { sources, refused: [], diagnostics: [] };
        },
        wait: request.wait,
      }),

    rollback: (caller: Caller, request: RollbackRequest): Promise<ApplyAnswer> =>
      commit({
        author: caller.name,
        message: request.message ?? `roll back to r${request.revision}`,
        wanted: async (state) => wantedFor(state, await policy.at(request.revision)),
        wait: request.wait,
      }),

    history: async (_caller: Caller, request: HistoryRequest): Promise<HistoryAnswer> => ({
      revision: policy.state.revision,
      commits: await policy.history(request.limit ?? 20),
    }),

    get: async (_caller: Caller, request: GetRequest): Promise<GetAnswer> => {
      const state = await policy.at(request.revision ?? policy.state.revision);
      const quarantined = new Set(state === policy.state ? ring.result?.quarantined : []);
      const resources = [...state.sources]
        .filter(([id]) => isAskedFor(id, request))
        .map(([id, { text, file, line }]) => ({
          id,
          text,
          file,
          line,
          quarantined: quarantined.has(id),
        }))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return { revision: state.revision, resources };
    },
  };
};

/** One after the other: callers of one process should not race each other for the next revision. */
const createTurns = () => {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
};

/** `route`, `Routes` and `Route` are the same kind. */
const isAskedFor = (id: ResourceId, { kind, namespace, name }: GetRequest): boolean => {
  const [itsKind = '', itsNamespace, itsName] = id.split('/');
  const lower = itsKind.toLowerCase();
  const isKind =
    kind === undefined ||
    [lower, `${lower}s`, lower.replace(/y$/, 'ies')].includes(kind.toLowerCase());
  return (
    isKind &&
    (namespace === undefined || namespace === itsNamespace) &&
    (name === undefined || name === itsName)
  );
};

const refuse = ({ answer, changes }: Proposal, allOrNothing: boolean): void => {
  const errors = answer.diagnostics.filter(({ severity }) => severity === 'error');
  const nothingIsLeft = changes.length === 0 && answer.changes.length === 0;
  if (errors.length === 0 || !(allOrNothing || nothingIsLeft)) return;
  const first = errors[0]?.message ?? '';
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new EngineError('ERR_POLICY_INVALID', `${first}${more}`, {
    source: 'caller',
    details: { quarantined: answer.quarantined, diagnostics: answer.diagnostics },
  });
};

const conflict = (expected: number, found: number): EngineError =>
  new EngineError('ERR_POLICY_CONFLICT', `expected r${expected}, the policy set is at r${found}`, {
    source: 'caller',
    retryable: true,
    details: { expected, found },
  });

const notFound = (message: string): EngineError =>
  new EngineError('ERR_REQUEST_NOT_FOUND', message, { source: 'caller' });
