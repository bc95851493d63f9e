// One snapshot with its overlay, serving. Everything that can be worked out before a request comes has been.
import { canonicalHeader } from '../filters/header-names.ts';
import { cookie, withoutQuery } from '../filters/request-parts.ts';
import { createRevocations, type Revocations } from '../filters/revocations.ts';
import type { Upstream } from '../model/snapshot.ts';
import type { PlaneView } from '../ports/data-plane.ts';
import { type CompiledSnapshot, compileSnapshot, type PipelineDeps } from './compiled-snapshot.ts';
import { decisionOf } from './decision-header.ts';
import {
  chooseUpstream,
  chooseVersion,
  decidedSplits,
  type SplitTables,
  shadowOf,
} from './destination.ts';
import type {
  Exchange,
  Forward,
  Outcome,
  Pipeline,
  RequestView,
  Respond,
  ResponseView,
} from './exchange.ts';
import { LiveExchange } from './live-exchange.ts';
import {
  isPreflight,
  notFound,
  redirect,
  reply,
  revokedPeer,
  unavailable,
} from './local-replies.ts';
import type { ForwardPlan, RulePlan } from './rule-plan.ts';
import { withQuery } from './target.ts';

export type { PipelineDeps } from './compiled-snapshot.ts';

/** `previous` saves the work that a mere change of the overlay does not need; it stays usable for requests under way. */
export const createPipeline = (
  view: PlaneView,
  deps: PipelineDeps,
  previous?: Pipeline,
): WeirPipeline => {
  const known =
    previous instanceof WeirPipeline &&
    previous.compiled.snapshot === view.snapshot &&
    previous.compiled.deps === deps
      ? previous.compiled
      : compileSnapshot(view, deps);
  return new WeirPipeline(view, known);
};

export class WeirPipeline implements Pipeline {
  readonly revision: number;
  readonly compiled: CompiledSnapshot;
  readonly splits: SplitTables;
  readonly revocations: Revocations;
  readonly #hasShadows: boolean;

  constructor(view: PlaneView, compiled: CompiledSnapshot) {
    this.revision = view.revision;
    this.compiled = compiled;
    this.splits = decidedSplits(compiled.splits, view.overlay.values(), view.snapshot);
    this.#hasShadows = this.splits.values().some(({ split }) => split.mirror !== undefined);
    this.revocations = createRevocations(compiled.revocations, view.overlay.values());
  }

  isProtectedHeader(name: string): boolean {
    const names = this.compiled.protectedHeaders;
    if (names.has(name)) return true;
    return /[^a-z0-9-]/.test(name) && names.has(canonicalHeader(name));
  }

  isRevoked(exchange: Exchange): boolean {
    if (!(exchange instanceof LiveExchange) || this.revocations.size === 0) return false;
    const nowMs = this.compiled.deps.clock.now();
    const { credentials, request } = exchange;
    return (
      credentials.some((each) => this.revocations.find(each, nowMs) !== undefined) ||
      (request.peerPrincipal !== undefined &&
        this.revocationOf(request.peerPrincipal) !== undefined)
    );
  }

  revocationOf(principal: string): string | undefined {
    if (this.revocations.size === 0) return undefined;
    return this.revocations.find({ subject: principal }, this.compiled.deps.clock.now());
  }

  handle(request: RequestView, requestId: string): Outcome | Promise<Outcome> {
    const plan = this.match(request);
    if (plan === undefined) return notFound(request);
    const exchange = new LiveExchange(request, requestId, plan, this.revocations);
    const { peerPrincipal } = request;
    const revocation = peerPrincipal === undefined ? undefined : this.revocationOf(peerPrincipal);
    if (revocation === undefined) return this.#run(exchange, 0);
    exchange.notes = { policy: revocation };
    return this.#reply(exchange, revokedPeer);
  }

  match(request: RequestView): RulePlan | undefined {
    const host = this.compiled.hostOf(request);
    if (host === undefined) return undefined;
    if (this.compiled.hasCors && isPreflight(request)) {
      // The answer is about the request to come, so it is that one's rule that gives it.
      const wanted = request.header('access-control-request-method') ?? '';
      const plan = host.find(request, wanted);
      if (plan?.rule.cors !== undefined) return plan;
    }
    return host.find(request, request.method);
  }

  #run(exchange: LiveExchange, from: number): Outcome | Promise<Outcome> {
    const { filters } = exchange.plan;
    for (let i = from; i < filters.length; i += 1) {
      exchange.ran = i + 1;
      const action = filters[i]?.request?.(exchange);
      if (action === undefined) continue;
      if (action instanceof Promise)
        return action.then((late) =>
          late === undefined ? this.#run(exchange, i + 1) : this.#reply(exchange, late),
        );
      return this.#reply(exchange, action);
    }
    return this.#finish(exchange);
  }

  #finish(exchange: LiveExchange): Outcome {
    const { forward, rule } = exchange.plan;
    if (forward !== undefined) return this.#forward(exchange, forward);
    if (rule.action.type === 'redirect')
      return this.#reply(exchange, redirect(exchange.request, rule.action));
    if (rule.action.type === 'respond') return this.#reply(exchange, reply(rule.action));
    return this.#reply(exchange, unavailable('the route has no backend'));
  }

  #forward(exchange: LiveExchange, plan: ForwardPlan): Outcome {
    const { random } = this.compiled.deps;
    const { request } = exchange;
    const upstream = chooseUpstream(plan.destination, this.splits, exchange, random);
    if (upstream === undefined || upstream.endpoints.length === 0)
      return this.#reply(exchange, unavailable('no endpoints'));
    const { body } = exchange.plan;
    return {
      type: 'forward',
      exchange,
      action: plan.action,
      upstream,
      target: withQuery(plan.target(request.path), queryOf(exchange)),
      host: plan.host,
      hashKey: hashKeyOf(upstream.loadBalancing.hash, request),
      delayMs: exchange.delayMs,
      mirror: this.#mirror(exchange, plan.mirror, upstream),
      collectResponseBytes: body?.maxBytes ?? 0,
    } satisfies Forward;
  }

  #mirror(exchange: LiveExchange, mirror: ForwardPlan['mirror'], upstream: Upstream) {
    const { random } = this.compiled.deps;
    if (mirror === undefined)
      return this.#hasShadows ? shadowOf(this.splits, upstream, random) : undefined;
    if (random() >= mirror.share) return undefined;
    if (mirror.upstream !== undefined) return mirror.upstream;
    return mirror.split === undefined
      ? undefined
      : chooseVersion(this.splits.get(mirror.split), exchange, undefined, random);
  }

  #reply(exchange: LiveExchange, respond: Respond): Respond {
    const maySee = this.compiled.decisionReaders.get(exchange.request.listener);
    if (maySee?.(exchange)) {
      const decision = decisionOf(exchange, this.revision);
      if (decision !== undefined) exchange.responseHeaders.push('x-policy-decision', decision);
    }
    this.respond(exchange, {
      status: respond.status,
      header: (name) => findHeader(respond.headers, name),
    });
    return { ...respond, exchange };
  }

  respond(exchange: Exchange, response: ResponseView): void {
    if (!(exchange instanceof LiveExchange) || exchange.answered) return;
    exchange.answered = true;
    const { filters } = exchange.plan;
    for (let i = exchange.ran - 1; i >= 0; i -= 1) filters[i]?.response?.(exchange, response);
  }

  wantsBody(exchange: Exchange, response: ResponseView): boolean {
    if (!(exchange instanceof LiveExchange)) return false;
    return exchange.plan.body?.wants(exchange, response) ?? false;
  }

  transformBody(
    exchange: Exchange,
    response: ResponseView,
    body: Uint8Array,
  ): Uint8Array | undefined {
    if (!(exchange instanceof LiveExchange)) return undefined;
    const transform = exchange.plan.body;
    if (transform === undefined || body.byteLength > transform.maxBytes) return undefined;
    return transform.wants(exchange, response) ? transform.transform(body) : undefined;
  }
}

const queryOf = ({ request, hiddenQuery }: LiveExchange): string =>
  hiddenQuery === undefined ? request.query : withoutQuery(request.query, hiddenQuery);

const hashKeyOf = (
  hash: Forward['upstream']['loadBalancing']['hash'],
  request: RequestView,
): string | undefined => {
  if (hash === undefined) return undefined;
  if (hash.by === 'address') return request.clientAddress;
  return hash.by === 'header' ? request.header(hash.name) : cookie(request, hash.name);
};

const findHeader = (headers: readonly string[], name: string): string | undefined => {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]?.toLowerCase() === name) return headers[i + 1];
  return undefined;
};
