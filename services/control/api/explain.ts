// Why a request goes where it goes: the pipeline that serves traffic, asked about a request that nobody sent.
import {
  identityNamed,
  imaginedDeps,
  imaginedRequest,
  NoSuchRequest,
} from '#adapters/dataplane-node/imagined-request.ts';
import type { Caller, ExplainRequest } from '#engine/model/api.ts';
import { EngineError } from '#engine/model/errors.ts';
import { isScope, type Scope } from '#engine/model/scope.ts';
import type { RequestView } from '#engine/pipeline/exchange.ts';
import { type Explanation, explain } from '#engine/pipeline/explain.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import type { Published, PublishedScope } from '../published.ts';

const EXAMPLE_ADDRESS = '203.0.113.1';

const refuse = (message: string): EngineError =>
  new EngineError('ERR_REQUEST_INVALID', message, { source: 'caller' });

export const createExplain =
  ({ published, clock }: { readonly published: Published; readonly clock: Clock }) =>
  async (
    _caller: Caller,
    request: ExplainRequest,
  ): Promise<Explanation & { readonly scope: Scope }> => {
    const view = viewOf(published.of(scopeOf(request.scope, published)));
    const explanation = await explain(view, imaginedDeps(clock), requestOf(request, view));
    return { scope: view.scope, ...explanation };
  };

const scopeOf = (asked: string | undefined, published: Published): Scope => {
  if (asked !== undefined) {
    if (isScope(asked) && published.of(asked).snapshot) return asked;
    throw new EngineError('ERR_REQUEST_NOT_FOUND', `nothing was published to ${asked}`, {
      source: 'caller',
    });
  }
  const known = published.scopes.filter(({ snapshot }) => snapshot?.snapshot.listeners.length);
  const gateways = known.filter(({ scope }) => scope.startsWith('edge.'));
  const [only, ...others] = gateways.length > 0 ? gateways : known;
  if (only && others.length === 0) return only.scope;
  throw refuse(
    only
      ? `name the scope: ${[only, ...others].map(({ scope }) => scope).join(', ')}`
      : 'no gateway has been published yet',
  );
};

const viewOf = ({ scope, position, snapshot, decisions }: PublishedScope): PlaneView => {
  if (!snapshot) throw refuse(`nothing was published to ${scope}`);
  const overlay = new Map(
    [...decisions.values()].map(({ decision }) => [decision.id, decision.body]),
  );
  return { scope, revision: snapshot.revision, position, snapshot: snapshot.snapshot, overlay };
};

const requestOf = (asked: ExplainRequest, { snapshot }: PlaneView): RequestView => {
  const { headers = [], clientAddress = EXAMPLE_ADDRESS, peer } = asked;
  const peerPrincipal = peer === undefined ? undefined : identityNamed(peer);
  try {
    return imaginedRequest({ ...asked, headers, clientAddress, peerPrincipal }, snapshot.listeners);
  } catch (error) {
    throw error instanceof NoSuchRequest ? refuse(error.message) : error;
  }
};
