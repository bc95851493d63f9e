// Sends every request of a table through the pipeline that serves traffic, and compares verdicts.
import {
  imaginedDeps,
  imaginedRequest,
  NoSuchRequest,
} from '#adapters/dataplane-node/imagined-request.ts';
import { parseMoment } from '#engine/model/moment.ts';
import { isScope, type Scope } from '#engine/model/scope.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { type Explanation, explain } from '#engine/pipeline/explain.ts';
import { CliError, exitCodes } from '../exit.ts';
import { type Caller, callerOf } from './caller.ts';
import type { TestPolicies } from './policies.ts';
import type { AuthzTable, AuthzTest } from './table.ts';

export interface Verdict {
  readonly verdict: 'allow' | 'deny' | 'none';
  readonly status?: number;
  readonly policy?: string;
  readonly rule?: number;
  readonly service?: string;
  /** In a sentence. */
  readonly why: string;
}

export interface TestResult extends Verdict {
  readonly name: string;
  readonly line: number;
  readonly request: string;
  readonly expected: string;
  readonly passed: boolean;
  /** What every policy on the way had to say. */
  readonly remarks: readonly string[];
}

export const runTests = async (
  table: AuthzTable,
  policies: TestPolicies,
  nowMs: number,
): Promise<readonly TestResult[]> => {
  const results: TestResult[] = [];
  for (const test of table.tests) {
    const scope = scopeOf(test.scope ?? table.scope, policies);
    const snapshot = policies.snapshots.get(scope);
    if (!snapshot) throw usage(test, `there is no scope ${scope}`);
    results.push(await runTest(test, scope, snapshot, { policies, nowMs }));
  }
  return results;
};

const runTest = async (
  test: AuthzTest,
  scope: Scope,
  snapshot: Snapshot,
  around: { readonly policies: TestPolicies; readonly nowMs: number },
): Promise<TestResult> => {
  const now = momentOf(test, around.nowMs);
  const caller = await callerOf(test, snapshot, around.policies, now);
  const clock = { now: () => now, monotonic: () => 0 };
  const view = {
    scope,
    revision: 1,
    position: 1,
    snapshot: caller.snapshot,
    overlay: new Map<string, never>(),
  };
  // Never chance: injected faults stay away, and of several versions always the same one is taken.
  const deps = imaginedDeps(clock, () => 1 - 2 ** -32);
  const said = await explain(view, deps, requestOf(test, caller));
  const verdict = verdictOf(said);
  return {
    name: test.name ?? test.request,
    line: test.line,
    request: test.request,
    expected: expectation(test),
    ...verdict,
    passed: isMet(test, verdict),
    remarks: said.filters.flatMap(({ filter, remarks }) =>
      remarks.map(({ policy, mode, says }) => `${filter}: ${policy} [${mode}] ${says}`),
    ),
  };
};

const requestOf = (test: AuthzTest, caller: Caller) => {
  const [method = '', url = ''] = test.request.split(' ');
  const headers = Object.entries(test.headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  );
  const mark = url.includes('?') ? '&' : '?';
  const query = caller.query && `${mark}${caller.query[0]}=${encodeURIComponent(caller.query[1])}`;
  try {
    return imaginedRequest(
      {
        method,
        url: `${url}${query ?? ''}`,
        headers: [...caller.headers, ...headers],
        clientAddress: test.client ?? '203.0.113.1',
        peerPrincipal: caller.peerPrincipal,
      },
      caller.snapshot.listeners,
    );
  } catch (error) {
    throw error instanceof NoSuchRequest ? usage(test, error.message) : error;
  }
};

const usage = (test: AuthzTest, message: string): CliError =>
  new CliError(exitCodes.usage, `${test.name ?? test.request}: ${message}.`);

const momentOf = (test: AuthzTest, nowMs: number): number => {
  if (test.time === undefined) return nowMs;
  const moment = parseMoment(test.time);
  if (moment === undefined) throw usage(test, `"${test.time}" is no moment`);
  return moment;
};

const scopeOf = (asked: string | undefined, { snapshots }: TestPolicies): Scope => {
  const scopes = [...snapshots.keys()];
  if (asked !== undefined) {
    if (isScope(asked) && snapshots.has(asked)) return asked;
    throw new CliError(exitCodes.usage, `There is no scope ${asked} in these policies.`, {
      hint: `There are ${scopes.join(', ') || 'none'}.`,
    });
  }
  const [only, ...others] = scopes.filter((scope) => scope.startsWith('edge.'));
  if (only !== undefined && others.length === 0 && isScope(only)) return only;
  throw new CliError(exitCodes.usage, 'The table must name a scope.', {
    hint: only === undefined ? 'These policies have no Gateway.' : scopes.join(', '),
  });
};

const verdictOf = ({ outcome, rule }: Explanation): Verdict => {
  if (outcome.type === 'forward') {
    const { service, version } = outcome;
    return { verdict: 'allow', service, why: `forwarded to ${service}${version && ` ${version}`}` };
  }
  const { status, flag, reason, notes } = outcome;
  if (rule === undefined) return { verdict: 'none', status, why: reason };
  const policy = notes['policy'];
  if (policy !== undefined) {
    const by = { policy, ...(notes['rule'] === undefined ? {} : { rule: Number(notes['rule']) }) };
    const place = by.rule === undefined ? '' : ` rule ${by.rule}`;
    return {
      verdict: 'deny',
      status,
      ...by,
      why: `${status} by ${policy}${place}: ${notes['reason'] ?? reason}`,
    };
  }
  // The route's own answer, or a service without endpoints: nobody stood in the way.
  const isPassed = (flag === '' && status < 400) || flag === 'UH';
  return {
    verdict: isPassed ? 'allow' : 'deny',
    status,
    why: `${status} by ${rule.id}${reason && `: ${reason}`}`,
  };
};

const isMet = (test: AuthzTest, found: Verdict): boolean => {
  // A request that no route takes proves nothing about policies, unless that is what was meant.
  const isVerdict =
    found.verdict === 'none'
      ? test.expect === 'deny' && test.status === 404
      : found.verdict === test.expect;
  return (
    isVerdict &&
    (test.status === undefined || test.status === found.status) &&
    (test.policy === undefined || test.policy === found.policy) &&
    (test.rule === undefined || test.rule === found.rule) &&
    (test.service === undefined || test.service === found.service)
  );
};

const expectation = ({ expect, status, policy, rule, service }: AuthzTest): string =>
  [
    expect,
    status === undefined ? '' : `with ${status}`,
    policy === undefined ? '' : `by ${policy}`,
    rule === undefined ? '' : `rule ${rule}`,
    service === undefined ? '' : `to ${service}`,
  ]
    .filter((part) => part !== '')
    .join(' ');
