// The one object that exists per request. All members are set in the constructor, so every exchange has one shape.
import type { FilterExchange } from '../filters/filter.ts';
import type { Credential, Revocations } from '../filters/revocations.ts';
import type { Rule } from '../model/snapshot.ts';
import type { RequestView } from './exchange.ts';
import type { RulePlan } from './rule-plan.ts';

export class LiveExchange implements FilterExchange {
  readonly request: RequestView;
  readonly requestId: string;
  readonly rule: Rule;
  readonly plan: RulePlan;
  readonly revocations: Revocations;
  principal: string | undefined = undefined;
  consumer: string | undefined = undefined;
  groups: readonly string[] = nobody;
  claims: Readonly<Record<string, unknown>> | undefined = undefined;
  readonly setHeaders: string[] = [];
  readonly removeHeaders: string[] = [];
  readonly responseHeaders: string[] = [];
  readonly removeResponseHeaders: string[] = [];
  readonly credentials: Credential[] = [];
  stickyPoint: number | undefined = undefined;
  notes: Record<string, string> | undefined = undefined;
  /** Milliseconds of injected delay. */
  delayMs = 0;
  hiddenQuery: Set<string> | undefined = undefined;
  /** How many filters have run. */
  ran = 0;
  /** Their response parts have run too. */
  answered = false;

  constructor(request: RequestView, requestId: string, plan: RulePlan, revocations: Revocations) {
    this.request = request;
    this.requestId = requestId;
    this.rule = plan.rule;
    this.plan = plan;
    this.revocations = revocations;
  }
}

const nobody: readonly string[] = Object.freeze([]);
