// Requests through a pipeline, for tests that care about what comes out.
import type { DecisionBody } from '#engine/model/decision.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline, type PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import type { Forward, Outcome, Respond } from '#engine/pipeline/exchange.ts';
import { pipelineDeps } from './pipeline-deps.ts';
import { type RequestFacts, requestView } from './request-view.ts';
import { planeView, snapshot } from './snapshot.ts';

export interface Served {
  (request?: RequestFacts): Promise<Outcome>;
  /** The decisions replace the earlier ones. */
  decide(...decisions: readonly DecisionBody[]): void;
  replace(next: Partial<Snapshot>): void;
}

export const serve = (facts: Partial<Snapshot>, deps: PipelineDeps = pipelineDeps()): Served => {
  let current = snapshot(facts);
  let pipeline = createPipeline(planeView(current), deps);
  const served = async (request: RequestFacts = {}) =>
    pipeline.handle(requestView(request), 'request-1');
  return Object.assign(served, {
    decide(...decisions: readonly DecisionBody[]) {
      pipeline = createPipeline(planeView(current, { decisions }), deps, pipeline);
    },
    replace(next: Partial<Snapshot>) {
      current = snapshot(next);
      pipeline = createPipeline(planeView(current, { revision: 2 }), deps, pipeline);
    },
  });
};

export const forwarded = (outcome: Outcome): Forward => {
  if (outcome.type !== 'forward') throw new Error(`answered ${outcome.status}: ${outcome.reason}`);
  return outcome;
};

export const answered = (outcome: Outcome): Respond => {
  if (outcome.type !== 'respond') throw new Error(`forwarded to ${outcome.upstream.id}`);
  return outcome;
};

/** Name, value, name, value, ... as an object; several values of a name are joined with ` | `. */
export const pairs = (list: readonly string[]): Record<string, string> => {
  const named: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] ?? '';
    named[name] = name in named ? `${named[name]} | ${list[i + 1]}` : (list[i + 1] ?? '');
  }
  return named;
};

/** What the caller gets to see besides the status: of the answer itself and of the filters. */
export const answerHeaders = (outcome: Outcome): Record<string, string> =>
  pairs([
    ...(outcome.type === 'respond' ? outcome.headers : []),
    ...(outcome.exchange?.responseHeaders ?? []),
  ]);
