// May this connection come in, although nobody reads what it carries? Authorization for TCP and TLS listeners.
import { forConnections } from '../../model/connection-rules.ts';
import type { Listener, Snapshot } from '../../model/snapshot.ts';
import type { RequestView } from '../../pipeline/exchange.ts';
import { own } from '../own.ts';
import { decide } from './decide.ts';
import type { Judged } from './judged.ts';
import { compilePolicy } from './policy-set.ts';

export interface ConnectionFacts {
  /** A proxy in front may have said it. */
  readonly callerAddress: string;
  readonly localAddress: string;
  readonly serverName: string | undefined;
  readonly principal: string | undefined;
}

export interface ConnectionVerdict {
  readonly isLetIn: boolean;
  /** For the access log: `policy`, `rule`, `audit`. */
  readonly notes: Judged['notes'];
}

export type ConnectionTest = (facts: ConnectionFacts) => ConnectionVerdict;

/** Undefined: no policy speaks of the listener's connections. */
export const connectionTest = (
  { authorizations }: Pick<Snapshot, 'authorizations'>,
  listener: Listener,
  nowMs: () => number,
): ConnectionTest | undefined => {
  const plans = (listener.authorizations ?? []).flatMap((id) => own(authorizations, id) ?? []);
  const policies = plans
    .filter(({ mode }) => mode !== 'off')
    // A CUSTOM provider can only be asked about requests, and who cannot be asked about does not come in.
    .map((plan) => (plan.action === 'CUSTOM' ? { ...plan, action: 'DENY' as const } : plan))
    .map((plan) => compilePolicy(forConnections(plan), nowMs));
  if (policies.length === 0) return undefined;
  const judge = decide(policies);
  return (facts) => {
    const connection = judged(facts, listener);
    const isLetIn = judge(connection) === undefined;
    return { isLetIn, notes: connection.notes };
  };
};

const judged = (facts: ConnectionFacts, listener: Listener): Judged => ({
  request: viewOf(facts, listener),
  principal: undefined,
  consumer: undefined,
  groups: [],
  claims: undefined,
  notes: undefined,
});

/** Nothing is left in the rules that would ask for what is empty here. */
const viewOf = (
  { callerAddress, localAddress, serverName, principal }: ConnectionFacts,
  { name, port, protocol }: Listener,
): RequestView => ({
  listener: name,
  localPort: port,
  localAddress,
  serverName,
  scheme: protocol === 'TLS' ? 'https' : 'http',
  method: '',
  host: '',
  authority: '',
  path: '',
  query: '',
  clientAddress: callerAddress,
  peerAddress: callerAddress,
  peerPrincipal: principal,
  header: () => undefined,
  headers: () => [],
});
