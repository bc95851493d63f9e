// The end of an exchange: one count and, where somebody listens, one line.
import type { Exchange, Forward } from '#engine/pipeline/exchange.ts';
import type { AccessEntry } from '../access.ts';
import type { DownstreamRequest } from '../downstream/request-view.ts';
import type { Outcome } from '../tally.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { PlaneContext } from './context.ts';
import type { GrpcCall } from './grpc.ts';

/** An exchange that is over. */
export interface Concluded {
  readonly context: PlaneContext;
  readonly request: DownstreamRequest;
  readonly requestId: string;
  /** Of the policy that decided it. */
  readonly revision: number;
  readonly startedAt: number;
  readonly exchange: Exchange | undefined;
  readonly forward: Forward | undefined;
  readonly endpoint: EndpointState | undefined;
  readonly status: number;
  readonly grpc: GrpcCall | undefined;
  readonly flag: string;
  readonly tries: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export const recordExchange = (run: Concluded): void => {
  const { context } = run;
  const latencyMs = context.clock.monotonic() - run.startedAt;
  context.samples.record(outcomeOf(run, latencyMs));
  context.onAccess?.(entryOf(run, latencyMs));
};

const outcomeOf = (run: Concluded, latencyMs: number): Outcome => {
  const { exchange, request, grpc } = run;
  const { service, version } = run.forward?.upstream ?? nowhere;
  return {
    rule: exchange === undefined ? '' : exchange.rule.id,
    service,
    version,
    source: sourceOf(request, exchange),
    protocol: grpc === undefined ? 'http' : 'grpc',
    isMutual: isMutual(request),
    status: run.status,
    grpcStatus: grpc?.code,
    isServerFault: grpc?.isServerFault,
    flag: run.flag,
    latencyMs,
    requestBytes: run.requestBytes,
    responseBytes: run.responseBytes,
    retries: run.tries > 1 ? run.tries - 1 : 0,
    stickyPoint: exchange?.stickyPoint,
    policy: exchange?.notes?.['policy'],
    policyRule: exchange?.notes?.['rule'],
    audit: exchange?.notes?.['audit'],
  };
};

const nowhere = { service: '', version: '' };

const sourceOf = (request: DownstreamRequest, exchange: Exchange | undefined): string =>
  request.peerPrincipal ?? exchange?.principal ?? 'unknown';

/** The caller has shown a certificate. */
const isMutual = ({ peer }: DownstreamRequest): boolean =>
  peer.principal !== undefined || peer.names !== undefined;

const entryOf = (run: Concluded, durationMs: number): AccessEntry => {
  const { context, exchange, forward, request } = run;
  return {
    atMs: context.clock.now(),
    requestId: run.requestId,
    listener: request.listener,
    clientAddress: request.clientAddress,
    method: request.method,
    host: request.host,
    path: request.path,
    status: run.status,
    grpcStatus: run.grpc?.code,
    flag: run.flag === '' ? '-' : run.flag,
    rule: exchange?.rule.id ?? '',
    service: forward?.upstream.service ?? '',
    version: forward?.upstream.version ?? '',
    endpoint: run.endpoint?.name ?? '',
    durationMs,
    tries: run.tries,
    requestBytes: run.requestBytes,
    responseBytes: run.responseBytes,
    principal: exchange?.principal,
    consumer: exchange?.consumer,
    userAgent: request.header('user-agent'),
    revision: run.revision,
    traceparent: request.header('traceparent'),
    notes: exchange?.notes,
  };
};
