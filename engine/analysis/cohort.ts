// Some agents against the rest: is what the cohort answers worse? The tests are those of a rollout. An agent belongs to one
// side only, so what all agents of a side report in the same two seconds, by control's clock, is one window of it.
import type { CohortArm, CohortFigures, CohortVerdict } from '../model/policy-canary.ts';
import type { AnalysisPlan } from '../model/rollout-plan.ts';
import type { Histogram, Sample, Series } from '../model/telemetry.ts';
import type { Verdict } from '../model/verdict.ts';
import { judge, observe, startAnalysis } from './analysis.ts';
import { type JudgeFacts, suspicionAt } from './facts.ts';
import { emptyHistogram, merge } from './histogram.ts';
import { type AnalysisState, readAnalysisState } from './state.ts';
import { admit, type Watermarks } from './watermark.ts';

/** Plain JSON, to be persisted. */
export interface CohortState {
  readonly v: 1;
  readonly id: string;
  /** Samples of the cohort count only at this revision, those of the rest only at another. */
  readonly revision: number;
  readonly startedMs: number;
  /** Agents by scope. */
  readonly cohorts: Readonly<Record<string, readonly string[]>>;
  readonly scopes: Readonly<Record<string, ScopeState>>;
  readonly watermarks: Watermarks;
}

interface ScopeState {
  /** Percent of the agents that are in the cohort. */
  readonly share: number;
  readonly windows: number;
  readonly window: { readonly sinceMs: number; readonly cohort: Tally; readonly rest: Tally };
  readonly refusedOf: { readonly cohort: number; readonly rest: number };
  /** 5xx and latency. */
  readonly failures: AnalysisState;
  /** 4xx. */
  readonly refusals: AnalysisState;
}

/** By endpoint group. */
type Tally = Readonly<Record<string, Counted>>;
interface Counted {
  readonly requests: number;
  readonly failed: number;
  readonly refused: number;
  readonly latency: Histogram;
}

export interface CohortPlan {
  readonly id: string;
  readonly revision: number;
  readonly cohorts: Readonly<Record<string, readonly string[]>>;
  /** Percent of the agents, by scope. */
  readonly shares: Readonly<Record<string, number>>;
}

const WINDOW_MS = 2000;
/** Nobody is promoted sooner. */
const SOAK_MS = 20_000;
/** The deadline is the machine's business. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;
/** Share of good revisions that are ever taken back, over all scopes and tests. */
const ALPHA = 0.01;

const failureMargins: Omit<AnalysisPlan, 'alpha'> = {
  beta: 0.05,
  maxErrorRatio: 1.25,
  maxErrorRate: 0.001,
  promoteErrorRatio: 2,
  promoteErrorRate: 0.003,
  latency: 'on',
  warmUpMs: 3000,
  maxLatencyRatio: 1.25,
  promoteLatencyRatio: { p90: 1.5, p99: 2 },
};
/** Who is refused depends on callers more than on agents, and callers keep to an agent: wider. */
const refusalMargins: Omit<AnalysisPlan, 'alpha'> = {
  ...failureMargins,
  maxErrorRatio: 1.5,
  maxErrorRate: 0.005,
  promoteErrorRate: 0.01,
  latency: 'off',
};

const COHORT = 'cohort';
const REST = 'rest';

export const startCohort = (plan: CohortPlan, nowMs: number): CohortState => {
  const scopes = Object.keys(plan.cohorts);
  const alpha = ALPHA / (2 * scopes.length);
  const stateOf = (scope: string): ScopeState => {
    const share = plan.shares[scope] ?? 10;
    const start = (margins: Omit<AnalysisPlan, 'alpha'>): AnalysisState =>
      startAnalysis(
        {
          id: plan.id,
          service: scope,
          baseline: REST,
          versions: [REST, COHORT],
          steps: [share],
          minStepMs: 0,
          minSoakMs: SOAK_MS,
          deadlineMs: NEVER_MS,
          onInconclusive: 'hold',
          start: 'manual',
          analysis: { ...margins, alpha },
        },
        { baseline: REST, canary: COHORT },
        nowMs,
      );
    return {
      share,
      windows: 0,
      window: { sinceMs: nowMs, cohort: {}, rest: {} },
      refusedOf: { cohort: 0, rest: 0 },
      failures: start(failureMargins),
      refusals: start(refusalMargins),
    };
  };
  return {
    v: 1,
    id: plan.id,
    revision: plan.revision,
    startedMs: nowMs,
    cohorts: plan.cohorts,
    scopes: Object.fromEntries(scopes.map((scope) => [scope, stateOf(scope)])),
    watermarks: {},
  };
};

/** Each sample counts once. Of agents that are not where they should be, none does. */
export const observeCohort = (state: CohortState, sample: Sample): CohortState => {
  const { scope, agent, revision, series } = sample;
  const known = state.scopes[scope];
  if (!known || series.length === 0) return state;
  const isIn = state.cohorts[scope]?.includes(agent) === true;
  if (isIn !== (revision === state.revision)) return state;
  const watermarks = admit(state.watermarks, sample);
  if (!watermarks) return state;
  const side = isIn ? COHORT : REST;
  const window = { ...known.window, [side]: add(known.window[side], series) };
  return {
    ...state,
    watermarks,
    scopes: { ...state.scopes, [scope]: { ...known, window } },
  };
};

const add = (tally: Tally, series: readonly Series[]): Tally => {
  const next: Record<string, Counted> = { ...tally };
  for (const { rule, requests, errors, statuses, latency, source } of series) {
    if (source === 'mirror') continue;
    const old = next[rule] ?? { requests: 0, failed: 0, refused: 0, latency: emptyHistogram };
    next[rule] = {
      requests: old.requests + requests,
      failed: old.failed + errors,
      refused: old.refused + refusedIn(statuses),
      latency: merge(old.latency, latency),
    };
  }
  return next;
};

const refusedIn = (statuses: Series['statuses']): number =>
  Object.entries(statuses).reduce(
    (sum, [status, count]) => (/^4\d\d$/.test(status) ? sum + count : sum),
    0,
  );

/** The verdict at this moment, over all scopes. */
export const judgeCohort = (
  state: CohortState,
  nowMs: number,
): readonly [CohortState, CohortVerdict] => {
  const scopes: Record<string, ScopeState> = {};
  const judged: Judged[] = [];
  for (const [scope, known] of Object.entries(state.scopes)) {
    const closed = closeWindow(state, scope, known, nowMs);
    const { share: weight } = closed;
    const since = { startedMs: state.startedMs, stepStartedMs: state.startedMs };
    const facts: JudgeFacts = { nowMs, weight, step: 1, ...since };
    const [failures, failed] = judge(closed.failures, facts);
    const [refusals, refused] = judge(closed.refusals, facts);
    scopes[scope] = { ...closed, failures, refusals };
    judged.push({ scope, failed, refused, figures: figuresOf(scope, closed, failed, refused) });
  }
  const isSoaked = nowMs - state.startedMs >= SOAK_MS;
  return [{ ...state, scopes }, verdictOf(judged, isSoaked)];
};

interface Judged {
  readonly scope: string;
  readonly failed: Verdict;
  readonly refused: Verdict;
  readonly figures: CohortFigures;
}

const closeWindow = (
  { id, startedMs }: CohortState,
  scope: string,
  known: ScopeState,
  nowMs: number,
): ScopeState => {
  const { cohort, rest, sinceMs } = known.window;
  if (nowMs - sinceMs < WINDOW_MS) return known;
  const isEmpty = Object.keys(cohort).length + Object.keys(rest).length === 0;
  const windows = known.windows + 1;
  const window = { sinceMs: nowMs, cohort: {}, rest: {} };
  if (isEmpty) return { ...known, window };
  const sample = (bad: 'failed' | 'refused'): Sample => ({
    v: 1,
    type: 'sample',
    agent: scope,
    scope: scope as Sample['scope'],
    incarnation: id,
    sequence: windows,
    startMs: Math.max(startedMs, sinceMs),
    spanMs: nowMs - sinceMs,
    reporter: 'source',
    revision: 0,
    series: [...seriesOf(scope, COHORT, cohort, bad), ...seriesOf(scope, REST, rest, bad)],
  });
  return {
    ...known,
    windows,
    window,
    refusedOf: {
      cohort: known.refusedOf.cohort + refusals(cohort),
      rest: known.refusedOf.rest + refusals(rest),
    },
    failures: observe(known.failures, sample('failed')),
    refusals: observe(known.refusals, sample('refused')),
  };
};

const refusals = (tally: Tally): number =>
  Object.values(tally).reduce((sum, { refused }) => sum + refused, 0);

const seriesOf = (
  service: string,
  version: string,
  tally: Tally,
  bad: 'failed' | 'refused',
): readonly Series[] =>
  Object.entries(tally).map(([rule, counted]) => ({
    rule,
    service,
    version,
    source: '',
    requests: counted.requests,
    errors: counted[bad],
    statuses: {},
    flags: {},
    latency: counted.latency,
    requestBytes: 0,
    responseBytes: 0,
    retries: 0,
  }));

const figuresOf = (
  scope: string,
  { refusedOf }: ScopeState,
  { evidence: failed }: Verdict,
  { evidence: refused }: Verdict,
): CohortFigures => {
  const arm = (side: 'canary' | 'baseline', refusedCount: number): CohortArm => {
    const { requests, errors, p50Ms, p99Ms } = failed[side];
    return { requests, failed: errors, refused: refusedCount, p50Ms, p99Ms };
  };
  const needs = [failed.requestsNeeded, refused.requestsNeeded];
  const isKnown = needs.every((one) => one !== undefined);
  return {
    scope,
    cohort: arm('canary', refusedOf.cohort),
    rest: arm('baseline', refusedOf.rest),
    revert: Math.max(failed.rollback, refused.rollback),
    revertAt: failed.rollbackAt,
    promote: Math.min(failed.promote, refused.promote),
    promoteAt: failed.promoteAt,
    ...(isKnown && { requestsNeeded: Math.max(...needs.map((one) => one ?? 0)) }),
  };
};

const verdictOf = (judged: readonly Judged[], isSoaked: boolean): CohortVerdict => {
  const scopes = judged.map(({ figures }) => figures);
  const worse = judged.filter(isWorse);
  if (worse.length > 0)
    return {
      outcome: 'fail',
      reason: worse.map(blame).join('; '),
      culprits: worse.flatMap(culpritsOf),
      scopes,
    };
  // Where nobody asks for anything there is nothing to go by, on neither side.
  const busy = judged.filter(
    ({ figures: { cohort, rest } }) => cohort.requests + rest.requests > 0,
  );
  const waiting = busy.find((one) => !isGood(one));
  const told = { culprits: [], scopes };
  if (busy.length === 0) return { outcome: 'error', reason: 'no requests yet', ...told };
  if (waiting) {
    const isSilent = busy.every(({ failed }) => failed.outcome === 'error');
    const outcome = isSilent ? 'error' : 'inconclusive';
    return { outcome, reason: waitingFor(waiting), ...told };
  }
  const numbers = busy.map(({ figures }) => inWords(figures)).join('; ');
  return isSoaked
    ? { outcome: 'pass', reason: `not worse than the rest: ${numbers}`, ...told }
    : { outcome: 'inconclusive', reason: `evidence suffices, soaking: ${numbers}`, ...told };
};

const isWorse = ({ failed, refused }: Judged): boolean =>
  failed.outcome === 'fail' || refused.outcome === 'fail';

/** An outage of the rest holds; that callers are refused there is nothing unusual. */
const isGood = ({ failed, refused, figures }: Judged): boolean =>
  failed.outcome !== 'error' &&
  refused.outcome !== 'error' &&
  !failed.baselineUnhealthy &&
  figures.promote >= figures.promoteAt &&
  figures.revert < suspicionAt;

const culpritsOf = ({ scope, failed, refused }: Judged): readonly string[] => {
  const named = (verdict: Verdict, errors: string): readonly string[] => {
    if (verdict.outcome !== 'fail') return [];
    const { culprits, metrics } = verdict.evidence;
    const ranked = Object.entries(metrics).sort(([, a], [, b]) => b.rollback - a.rollback);
    const found = culprits.length > 0 ? culprits : ranked.slice(0, 2).map(([metric]) => metric);
    return found.map((metric) => `${scope} ${metric.replace(/^errors/, errors)}`);
  };
  return [...named(failed, '5xx'), ...named(refused, '4xx')].slice(0, 5);
};

const blame = (judged: Judged): string =>
  `worse in ${culpritsOf(judged).join(', ')}: ${inWords(judged.figures)}; e-value ${short(judged.figures.revert)} of ${short(judged.figures.revertAt)}`;

const waitingFor = ({ scope, failed, figures }: Judged): string => {
  const { requestsNeeded: needed, revert, promote, promoteAt } = figures;
  if (failed.outcome === 'error') return `${scope}: ${failed.reason}; ${inWords(figures)}`;
  if (revert >= suspicionAt) return `suspicious, not proven: ${inWords(figures)}`;
  if (failed.baselineUnhealthy) return `holding, the rest itself is failing: ${inWords(figures)}`;
  const more = needed ? `, about ${needed} more requests of the cohort needed` : '';
  return `not enough evidence yet (${short(promote)} of ${short(promoteAt)})${more}: ${inWords(figures)}`;
};

const inWords = ({ scope, cohort, rest }: CohortFigures): string =>
  `${scope}: cohort ${arm(cohort)}, rest ${arm(rest)}`;

const arm = ({ requests, refused, failed, p99Ms }: CohortArm): string =>
  `${requests} requests, ${refused} 4xx, ${failed} 5xx, p99 ${Math.round(p99Ms)} ms`;

const short = (value: number): string =>
  value >= 1e6 ? value.toExponential(1) : String(Number(value.toPrecision(3)));

/** Undefined if no release that this one knows wrote it. */
export const readCohortState = (value: unknown): CohortState | undefined => {
  const state = value as Partial<CohortState> | null | undefined;
  const isWhole =
    state?.v === 1 &&
    typeof state.revision === 'number' &&
    typeof state.startedMs === 'number' &&
    typeof state.cohorts === 'object' &&
    typeof state.scopes === 'object' &&
    typeof state.watermarks === 'object' &&
    Object.values(state.scopes).every(
      ({ failures, refusals: others }) => readAnalysisState(failures) && readAnalysisState(others),
    );
  return isWhole ? (state as CohortState) : undefined;
};
