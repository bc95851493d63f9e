// Some agents against the rest: is what the cohort answers worse? The tests are those of a rollout. An agent belongs to one
// side only, so what all agents of a side report in the same two seconds, by control's clock, is one window of it.
import type { CohortArm, CohortFigures, CohortVerdict } from '../model/policy-canary.ts';
import type { AnalysisPlan } from '../model/rollout-plan.ts';
import type { Sample, Series } from '../model/telemetry.ts';
import type { ArmFigures, Verdict } from '../model/verdict.ts';
import { judge, observe, startAnalysis } from './analysis.ts';
import { type JudgeFacts, suspicionAt } from './facts.ts';
import { type AnalysisState, readAnalysisState } from './state.ts';
import { type Answers, alike, answersIn, joinAnswers, type UsualRatios } from './usual.ts';
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
  readonly usual: UsualRatios;
  readonly windows: number;
  readonly window: { readonly sinceMs: number; readonly cohort: Tally; readonly rest: Tally };
  readonly totals: { readonly cohort: Totals; readonly rest: Totals };
  readonly tests: Readonly<Record<Aspect, AnalysisState>>;
}

type Aspect = keyof UsualRatios;
type Totals = Omit<Answers, 'latency'>;

/** By endpoint group. */
type Tally = Readonly<Record<string, Answers>>;

export interface CohortPlan {
  readonly id: string;
  readonly revision: number;
  readonly cohorts: Readonly<Record<string, readonly string[]>>;
  /** Percent of the agents, by scope. */
  readonly shares: Readonly<Record<string, number>>;
  /** What was so before, by scope. */
  readonly usual?: Readonly<Record<string, UsualRatios>>;
}

const WINDOW_MS = 2000;
/** Nobody is promoted sooner. */
const SOAK_MS = 20_000;
type Margins = Omit<AnalysisPlan, 'alpha'>;

/** The deadline is the machine's business. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;
/** Share of good revisions that are ever taken back, over all scopes and tests. */
const ALPHA = 0.01;

const failures: Margins = {
  beta: 0.05,
  maxErrorRatio: 1.25,
  maxErrorRate: 0.001,
  promoteErrorRatio: 2,
  promoteErrorRate: 0.003,
  latency: 'off',
  warmUpMs: 3000,
  maxLatencyRatio: 1.25,
  promoteLatencyRatio: { p90: 1.5, p99: 2 },
};
const aspects: Readonly<Record<Aspect, Margins>> = {
  failed: failures,
  /** Who is refused depends on callers more than on agents, and callers keep to an agent: wider. */
  refused: { ...failures, maxErrorRatio: 1.5, maxErrorRate: 0.005, promoteErrorRate: 0.01 },
  slow: { ...failures, latency: 'on' },
};
const all = Object.keys(aspects) as readonly Aspect[];
const errorNames: Readonly<Record<Aspect, string>> = { failed: '5xx', refused: '4xx', slow: '' };

const byAspect = <T>(make: (aspect: Aspect) => T): Readonly<Record<Aspect, T>> => ({
  failed: make('failed'),
  refused: make('refused'),
  slow: make('slow'),
});

const COHORT = 'cohort';
const REST = 'rest';

export const startCohort = (plan: CohortPlan, nowMs: number): CohortState => {
  const scopes = Object.keys(plan.cohorts);
  const alpha = ALPHA / (all.length * scopes.length);
  const stateOf = (scope: string): ScopeState => {
    const share = plan.shares[scope] ?? 10;
    const start = (aspect: Aspect): AnalysisState =>
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
          analysis: { ...aspects[aspect], alpha },
        },
        { baseline: REST, canary: COHORT },
        nowMs,
      );
    return {
      share,
      usual: plan.usual?.[scope] ?? alike,
      windows: 0,
      window: { sinceMs: nowMs, cohort: {}, rest: {} },
      totals: { cohort: none, rest: none },
      tests: byAspect(start),
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

const none: Totals = { requests: 0, refused: 0, failed: 0 };

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
  const next: Record<string, Answers> = { ...tally };
  for (const one of series) {
    const answers = answersIn({ series: [one] });
    const old = next[one.rule];
    next[one.rule] = old ? joinAnswers(old, answers) : answers;
  }
  return next;
};

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
    const outcomes = byAspect((aspect) => judge(closed.tests[aspect], facts));
    const verdicts = byAspect((aspect) => outcomes[aspect][1]);
    scopes[scope] = { ...closed, tests: byAspect((aspect) => outcomes[aspect][0]) };
    judged.push({ scope, verdicts, figures: figuresOf(scope, closed, verdicts) });
  }
  const isSoaked = nowMs - state.startedMs >= SOAK_MS;
  return [{ ...state, scopes }, verdictOf(judged, isSoaked)];
};

type Verdicts = Readonly<Record<Aspect, Verdict>>;
interface Judged {
  readonly scope: string;
  readonly verdicts: Verdicts;
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
  const windows = known.windows + 1;
  const window = { sinceMs: nowMs, cohort: {}, rest: {} };
  if (Object.keys(cohort).length + Object.keys(rest).length === 0) return { ...known, window };
  const sample = (aspect: Aspect): Sample => ({
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
    series: [
      ...seriesOf({ scope, version: COHORT, aspect, times: 1 }, cohort),
      ...seriesOf({ scope, version: REST, aspect, times: known.usual[aspect] }, rest),
    ],
  });
  return {
    ...known,
    windows,
    window,
    totals: { cohort: total(known.totals.cohort, cohort), rest: total(known.totals.rest, rest) },
    tests: byAspect((aspect) => observe(known.tests[aspect], sample(aspect))),
  };
};

const total = (before: Totals, tally: Tally): Totals =>
  Object.values(tally).reduce<Totals>(
    (sum, { requests, refused, failed }) => ({
      requests: sum.requests + requests,
      refused: sum.refused + refused,
      failed: sum.failed + failed,
    }),
    before,
  );

interface Of {
  readonly scope: string;
  readonly version: string;
  readonly aspect: Aspect;
  /** Had the rest so many times the share of bad answers, it would be like the cohort was: then it has fewer requests. */
  readonly times: number;
}

const seriesOf = ({ scope, version, aspect, times }: Of, tally: Tally): readonly Series[] =>
  Object.entries(tally).map(([rule, counted]) => ({
    rule,
    service: scope,
    version,
    source: '',
    requests: counted.requests / times,
    errors: aspect === 'slow' ? 0 : counted[aspect],
    statuses: {},
    flags: {},
    latency: counted.latency,
    requestBytes: 0,
    responseBytes: 0,
    retries: 0,
  }));

const figuresOf = (scope: string, { totals }: ScopeState, verdicts: Verdicts): CohortFigures => {
  const { canary, baseline } = verdicts.slow.evidence;
  const arm = (side: 'cohort' | 'rest', { p50Ms, p99Ms }: ArmFigures): CohortArm => ({
    ...totals[side],
    p50Ms,
    p99Ms,
  });
  const evidence = all.map((aspect) => verdicts[aspect].evidence);
  const needs = evidence.map(({ requestsNeeded }) => requestsNeeded);
  const isKnown = needs.every((one) => one !== undefined);
  return {
    scope,
    cohort: arm('cohort', canary),
    rest: arm('rest', baseline),
    revert: Math.max(...evidence.map(({ rollback }) => rollback)),
    revertAt: verdicts.failed.evidence.rollbackAt,
    promote: Math.min(...evidence.map(({ promote }) => promote)),
    promoteAt: verdicts.failed.evidence.promoteAt,
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
    const isSilent = busy.every(({ verdicts }) => verdicts.failed.outcome === 'error');
    const outcome = isSilent ? 'error' : 'inconclusive';
    return { outcome, reason: waitingFor(waiting), ...told };
  }
  const numbers = busy.map(({ figures }) => inWords(figures)).join('; ');
  return isSoaked
    ? { outcome: 'pass', reason: `not worse than the rest: ${numbers}`, ...told }
    : { outcome: 'inconclusive', reason: `evidence suffices, soaking: ${numbers}`, ...told };
};

const isWorse = ({ verdicts }: Judged): boolean =>
  all.some((aspect) => verdicts[aspect].outcome === 'fail');

/** An outage of the rest holds; that callers are refused there is nothing unusual. */
const isGood = ({ verdicts: { failed }, figures }: Judged): boolean =>
  failed.outcome !== 'error' &&
  !failed.baselineUnhealthy &&
  figures.promote >= figures.promoteAt &&
  figures.revert < suspicionAt;

const culpritsOf = ({ scope, verdicts }: Judged): readonly string[] =>
  all
    .filter((aspect) => verdicts[aspect].outcome === 'fail')
    .flatMap((aspect) => {
      const { culprits, metrics } = verdicts[aspect].evidence;
      const worst = Object.entries(metrics).sort(([, a], [, b]) => b.rollback - a.rollback);
      const found = culprits.length > 0 ? culprits : worst.slice(0, 2).map(([metric]) => metric);
      return found.map((metric) => `${scope} ${metric.replace(/^errors/, errorNames[aspect])}`);
    })
    .slice(0, 5);

const blame = (judged: Judged): string =>
  `worse in ${culpritsOf(judged).join(', ')}: ${inWords(judged.figures)}; e-value ${short(judged.figures.revert)} of ${short(judged.figures.revertAt)}`;

const waitingFor = ({ scope, verdicts: { failed }, figures }: Judged): string => {
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
    Object.values(state.scopes).every(({ tests }) =>
      all.every((aspect) => readAnalysisState(tests?.[aspect]) !== undefined),
    );
  return isWhole ? (state as CohortState) : undefined;
};
