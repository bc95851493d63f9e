// The proxy under test as a process of its own: the standard pipeline over one route, and more routes on demand.
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { type BenchPolicy, pipelineDeps, snapshotOf } from './proxy-policy.ts';

const policy = JSON.parse(process.argv[2] ?? '{}') as BenchPolicy;
const deps = pipelineDeps();

const plane = createNodePlane({
  pipeline: (view, previous) => createPipeline(view, deps, previous),
  reporter: 'source',
  log: (message, error) => console.error(message, error),
});
await plane.activate({
  scope: 'edge.bench',
  revision: 1,
  position: 1,
  snapshot: snapshotOf(policy),
  overlay: new Map(),
});
console.log('ready');

const drainSamples = async (): Promise<void> => {
  for await (const sample of plane.samples()) void sample;
};
void drainSamples();

process.on('SIGUSR2', () => globalThis.gc?.());

process.on('SIGTERM', () => {
  void plane.close().then(() => process.exit(0));
});
