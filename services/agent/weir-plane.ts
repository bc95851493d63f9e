// Weir's own data plane as every preset uses it: the node proxy over the engine's pipeline.
import { hash, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { createNodePlane, type NodePlane } from '#adapters/dataplane-node/plane.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { createPipeline, type PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';
import type { Clock } from '#engine/ports/clock.ts';
import { createLateWeb } from './late-web.ts';

export interface WeirPlaneOptions {
  readonly clock: Clock;
  readonly reporter: Sample['reporter'];
  readonly agent: string;
  readonly locality?: string | undefined;
  readonly listenPorts?: ReadonlyMap<number, number>;
  readonly reusePort?: boolean;
  readonly maxConnections?: number | undefined;
  readonly files?: (path: string) => string | undefined;
  readonly onUnknownKey?: (issuer: string) => void;
  readonly onAccess?: (entry: AccessEntry) => void;
  readonly log: (line: string) => void;
}

const scryptAsync = promisify<string, Uint8Array, number, object, Uint8Array>(scrypt);
/** Bound on what a stored password hash may make us allocate. */
const SCRYPT_BYTES = 256 * 2 ** 20;

export const createWeirPlane = (options: WeirPlaneOptions): NodePlane => {
  const web = createLateWeb();
  const deps: PipelineDeps = {
    clock: options.clock,
    random: Math.random,
    hash: (text) => hash('sha256', text),
    scrypt: (password, salt, cost, length) =>
      scryptAsync(password, salt, length, { ...cost, maxmem: SCRYPT_BYTES }),
    web,
    unguessable: () => randomBytes(32).toString('base64url'),
    ...(options.files ? { files: options.files } : {}),
    ...(options.onUnknownKey ? { onUnknownKey: options.onUnknownKey } : {}),
    state: createPipelineState(),
  };
  const plane = createNodePlane({
    ...options,
    random: Math.random,
    log: (message, error) =>
      options.log(error instanceof Error ? `${message}: ${error.message}` : message),
    pipeline: (view, previous) => createPipeline(view, deps, previous),
  });
  return {
    capabilities: plane.capabilities,
    activate: (view) => plane.activate(view),
    samples: () => plane.samples(),
    drain: (deadlineMs, acceptMs) => plane.drain(deadlineMs, acceptMs),
    addresses: () => plane.addresses(),
    stats: () => plane.stats(),
    close: async () => {
      await plane.close();
      await web.close();
    },
  };
};
