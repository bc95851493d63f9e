// All upstreams of the plane. Snapshots come and go; what is known of an upstream stays.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { EngineError } from '#engine/model/errors.ts';
import type { Snapshot, Upstream } from '#engine/model/snapshot.ts';
import type { EndpointSeries } from '#engine/model/telemetry.ts';
import type { FleetWords } from './fleet-words.ts';
import { type UpstreamDeps, UpstreamState } from './upstream-state.ts';

/** Checked and ready; `commit` cannot fail. */
export interface PreparedUpstreams {
  commit(words: FleetWords): ReadonlyMap<string, UpstreamState>;
}

export class Upstreams {
  private readonly deps: UpstreamDeps;
  private byId = new Map<string, UpstreamState>();

  constructor(deps: UpstreamDeps) {
    this.deps = deps;
  }

  /** Throws for certificates that cannot be used; nothing has changed then. */
  prepare(snapshot: Snapshot): PreparedUpstreams {
    const plans = Object.entries(snapshot.upstreams).map(
      ([id, plan]) => [id, plan, tlsOptionsOf(supported(plan))] as const,
    );
    return {
      commit: (words) => {
        const next = new Map<string, UpstreamState>();
        for (const [id, plan, tlsOptions] of plans) {
          const known = this.byId.get(id);
          known?.update(plan, tlsOptions);
          next.set(id, known ?? new UpstreamState(plan, tlsOptions, this.deps));
        }
        for (const [id, state] of this.byId) if (!next.has(id)) state.retire();
        for (const state of next.values()) state.obey(words);
        this.byId = next;
        return next;
      },
    };
  }

  /** What endpoints answered since this was last asked. */
  takeSeries(): readonly EndpointSeries[] {
    return [...this.byId.values()].flatMap((state) => state.takeSeries());
  }

  get all(): Iterable<UpstreamState> {
    return this.byId.values();
  }

  close(): void {
    for (const state of this.byId.values()) state.retire();
  }
}

const supported = (plan: Upstream): Upstream => {
  const speaksHttp2 = plan.protocol === 'http2' || plan.protocol === 'grpc';
  if (plan.healthCheck?.type === 'GRPC' && !speaksHttp2)
    throw new EngineError(
      'ERR_CONFIG_INVALID',
      `${plan.id}: a GRPC health check needs protocol grpc or http2, not ${plan.protocol}`,
    );
  return plan;
};

const tlsOptionsOf = (plan: Upstream): tls.ConnectionOptions | undefined => {
  if (!plan.tls) return undefined;
  const { ca, caFile, serverName, insecureSkipVerify } = plan.tls;
  const authorities = ca ?? (caFile === undefined ? undefined : readFileSync(caFile, 'utf8'));
  return {
    secureContext: tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ...(authorities !== undefined && { ca: authorities }),
    }),
    rejectUnauthorized: !insecureSkipVerify,
    ...(plan.protocol !== 'tcp' && {
      ALPNProtocols: [plan.protocol === 'http' ? 'http/1.1' : 'h2'],
    }),
    ...(serverName !== undefined && { servername: serverName }),
  };
};
