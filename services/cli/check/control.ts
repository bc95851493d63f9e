// What control says about itself, the fleet and the policies.
import type { AgentStatus } from '#engine/model/api.ts';
import type { Client } from '../client.ts';
import { formatAge } from '../output.ts';
import { checkCertificates } from './certificates.ts';
import { type Finding, ok, skipped, warning, wrong } from './finding.ts';

const STALE_MS = 5000;
/** Tokens and windows tolerate less than a minute. */
const CLOCK_MS = 5000;

export const checkControl = async (client: Client, nowMs: number): Promise<Finding[]> => {
  try {
    const fleet = await client.call('fleet.status', {}, { timeoutMs: 5000 });
    return [
      ok('control', `${client.url}, leader ${fleet.leader.instance}, revision ${fleet.revision}`),
      checkAgents(fleet.agents),
      ...checkClocks(fleet.agents),
      ...(await checkPolicies(client, nowMs)),
    ];
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return [
      wrong('control', message, hint ?? 'Start it with `npm start`.'),
      skipped('agents', 'control knows them'),
      skipped('policies', 'control knows them'),
    ];
  }
};

const checkAgents = (agents: readonly AgentStatus[]): Finding => {
  if (agents.length === 0)
    return warning('agents', 'none has ever reported', 'Start an edge: `npm start` does.');
  const bad = agents.flatMap((agent) => {
    const problem = problemOf(agent);
    return problem ? [`${agent.agent} ${problem}`] : [];
  });
  if (bad.length === 0) return ok('agents', `${agents.length}, all live and current`);
  return wrong('agents', bad.join('; '), '`weir status` shows each; its own log says more.');
};

/** Only what is wrong is said. */
const checkClocks = (agents: readonly AgentStatus[]): readonly Finding[] => {
  const bad = agents
    .filter(({ state }) => state === 'live')
    .flatMap(({ agent, clockAheadMs = 0 }) => {
      if (Math.abs(clockAheadMs) <= CLOCK_MS) return [];
      const way = clockAheadMs > 0 ? 'ahead of' : 'behind';
      return [`that of ${agent} is ${formatAge(Math.abs(clockAheadMs))} ${way} control's`];
    });
  return bad.length > 0
    ? [wrong('clocks', bad.join('; '), 'Let NTP set the clock of every machine.')]
    : [];
};

const problemOf = (agent: AgentStatus): string | undefined => {
  if (agent.state === 'lost') return `is lost since ${formatAge(agent.ageMs)}`;
  if (agent.state !== 'live') return `is ${agent.state}`;
  if (agent.ageMs > STALE_MS) return `has been silent for ${formatAge(agent.ageMs)}`;
  if (!agent.current) return `is behind at revision ${agent.revision}`;
  return undefined;
};

/** The policy set is compiled once more, dry, to hear what the compiler has to say about it. */
const checkPolicies = async (client: Client, nowMs: number): Promise<Finding[]> => {
  const { resources, revision } = await client.call('policy.get');
  const documents = resources.map(({ file, text }) => ({ file, text }));
  if (documents.length === 0)
    return [warning('policies', 'none', 'Apply some: `weir apply -f policies/`.')];
  const { diagnostics } = await client.call('policy.diff', { documents });
  const found = diagnostics.map(({ severity, resource, code, message, hint, location }) => {
    const place = resource ?? location?.file ?? '';
    const report = severity === 'error' ? wrong : warning;
    return report('policies', `${place} ${code} ${message}`.trim(), hint);
  });
  const sound = ok(
    'policies',
    `${resources.length} resources at revision ${revision}, no diagnostics`,
  );
  return [...(found.length > 0 ? found : [sound]), ...checkCertificates(resources, nowMs)];
};
