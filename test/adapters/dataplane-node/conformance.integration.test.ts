import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps } from '#test/bench/proxy-policy.ts';
import { dataPlaneSuite } from '#test/conformance/data-plane.suite.ts';

dataPlaneSuite('node', async () => {
  const deps = pipelineDeps();
  const plane = createNodePlane({
    pipeline: (view, previous) => createPipeline(view, deps, previous),
    reporter: 'source',
    listenPorts: new Map([[8080, 0]]),
  });
  return {
    plane,
    portOf: (policyPort) =>
      plane.addresses().find((each) => each.policyPort === policyPort)?.port ?? 0,
  };
});
