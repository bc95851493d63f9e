import type { Workload } from '../../model/telemetry.ts';
import { compareText } from '../findings.ts';
import type { WorkloadGroup } from './sidecar.ts';

/** Replicas of one name together; the order in which agents reported makes no difference. */
export const groupWorkloads = (workloads: readonly Workload[]): readonly WorkloadGroup[] => {
  const groups = new Map<string, { namespace: string; name: string; replicas: Workload[] }>();
  const sorted = workloads
    .map((workload) => ({ workload, text: orderedText(workload) }))
    .sort((a, b) => compareText(a.text, b.text));
  for (const { workload } of sorted) {
    const { namespace, name } = workload;
    const key = `${namespace}/${name}`;
    const group = groups.get(key);
    if (group) group.replicas.push(workload);
    else groups.set(key, { namespace, name, replicas: [workload] });
  }
  return [...groups.values()];
};

const orderedText = ({ namespace, name, labels, endpoints }: Workload): string =>
  JSON.stringify([
    namespace,
    name,
    Object.entries(labels).sort(([a], [b]) => compareText(a, b)),
    endpoints,
  ]);
