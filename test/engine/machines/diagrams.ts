// docs/machines.md, as it must be. `node test/engine/machines/diagrams.ts` writes it.
import { writeFileSync } from 'node:fs';
import { breakerMachine } from '#engine/machines/breaker.ts';
import { policyCanaryMachine } from '#engine/machines/policy-canary.ts';
import { retryBrakeMachine } from '#engine/machines/retry-brake.ts';
import { rolloutMachine } from '#engine/machines/rollout.ts';
import { mermaid } from './diagram.ts';

export const path = 'docs/machines.md';

const picture = (diagram: string): string => `\`\`\`mermaid\n${diagram}\n\`\`\``;

export const document = `# The machines

Decisions are made by state machines (xstate). They are pure: events go in, absolute decisions and announcements come
out, and what they remember is JSON. Control writes that down before it says anything, so it can be killed at any moment.
The diagrams are generated from the machines (\`node test/engine/machines/diagrams.ts\`); a test keeps them current.
A name in brackets is the guard that must hold. Events that only take note are left out.

## Rollout

How a new version of a service earns its traffic; [canary.md](canary.md) says how it is judged, [rollouts.md](rollouts.md) what else has a say.

${picture(mermaid(rolloutMachine))}

A tick ends a rollout in any state once the policy itself names the new version as the baseline. The guards \`mayBegin\`,
\`mayStepUp\` and \`mayPromote\` ask for the evidence and for open gates; what only a gate holds back is listed in the status.

| state | traffic of the new version | what it waits for |
|---|---|---|
| idle | none | a new version, or an operator who undoes the last promotion |
| initializing | none | telemetry, the agents' acks, known latencies |
| progressing | the step's | evidence for the next step, for promotion or for rollback |
| holding | the step's | telemetry, a healthy baseline, or less suspicion |
| paused | the step's | an operator; proof of damage still rolls back |
| inconclusive | the step's | an operator: promote, abort, or resume with a new deadline |
| promoting | all | the agents' acks (at most 30 s) |
| succeeded | all | the policy to name it as the baseline, or the next version; a regression while it is watched |
| rollingBack | none | the agents' acks (at most 30 s) |
| failed | none | the next version, or an operator's retry |

## Breaker

One per endpoint, for the whole fleet, beside the data plane's own outlier reflex.

${picture(mermaid(breakerMachine))}

* Every agent that measured the endpoint has a say by how many requests it sent, and none a larger one than the median
  agent's. The endpoint opens when they saw at least 5 failures together and more than half of that accuses it, that is,
  saw at least half of its requests fail. The newest part of the last 10 s that shows so many failures is judged, so that
  better days do not excuse. What one agent says alone holds if no other live agent sends there, or the others found the same;
  agents that have measured nothing are no witnesses, so it waits for the first failure that another one sees.
* It stays closed while more of the upstream's other endpoints are ill than well, when as many of the upstream's endpoints
  are open already as may be, and when it is the last one.
* Open lasts 30 s, twice as long after every failed probe, 300 s at most. Then one agent is elected to probe; three
  successes in a row close it, one failure opens it again (the next time another agent begins), and a prober that is lost or
  measures nothing for 10 s is replaced. The times are those of the Service's \`outlierDetection\`.

## Policy canary

How a policy revision earns the whole fleet; [rollouts.md](rollouts.md#policy-revisions) says who tries it and how it is judged.

${picture(mermaid(policyCanaryMachine))}

| state | the cohort has | the rest has | what it waits for |
|---|---|---|---|
| spreading | the revision, as soon as it arrives | the last commit | every agent of the cohort (at most 30 s) |
| watching | the revision | the last commit | evidence, until the deadline |
| promoting | the revision | the last commit | the commit; control tries again every second |
| promoted | the commit | the commit | |
| reverted, inconclusive, aborted | the last commit again | the last commit | |

## Retry brake

One per edge of the call graph (a scope that calls, a service that is called). Each agent bounds its own retries by a share of
what it has under way; many agents with few requests each can still bury a service together.

${picture(mermaid(retryBrakeMachine))}

* Braked when at least 20 retries in 10 s are more than the bound, the largest \`retry.budgetPercent\` of the routes that lead
  there (default 20 % of the requests). From then on every agent retries at most a share of its requests: half of the bound.
* Every 5 s that share is halved while retries use it up (1 % is the least), and doubled while they use less than half of it;
  back at the bound the limit is withdrawn. While nothing is heard it holds, for a minute.
`;

if (import.meta.main) writeFileSync(path, document);
