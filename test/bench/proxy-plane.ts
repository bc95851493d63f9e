// The proxy under test as a process of its own: the standard pipeline over one route, and more routes on demand.
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps, snapshotOf } from './proxy-policy.ts';

const [port = '0', upstreamPort = '0', routes = '1'] = process.argv.slice(2);
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
  snapshot: snapshotOf({
    port: Number(port),
    upstreamPort: Number(upstreamPort),
    routes: Number(routes),
  }),
  overlay: new Map(),
});
console.log('ready');

const drainSamples = async (): Promise<void> => {
  for await (const sample of plane.samples()) void sample;
};
void drainSamples();

process.on('SIGTERM', () => {
  void plane.close().then(() => process.exit(0));
});
