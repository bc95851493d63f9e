// `weir status`: the fleet, agent by agent.
import { Command } from 'commander';
import type { AgentStatus, FleetAnswer } from '#engine/model/api.ts';
import { formatPosition } from '#engine/model/position.ts';
import { formatAge, table } from '../output.ts';
import { examples, type Session } from '../session.ts';
import { watch } from '../watch.ts';

export const statusCommand = (session: Session): Command =>
  new Command('status')
    .description('Show the fleet: who enforces which revision')
    .option('-w, --watch', 'again every second, until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        ['weir status', 'each agent, its revision and its last rejection'],
        ['weir status --watch', 'live'],
        ['weir status -o json | jq .agents[].agent', 'for scripts'],
      ),
    )
    .action(async (options: { watch?: true }) => {
      const client = session.client();
      const show = async () => {
        const answer = await client.call('fleet.status');
        return { value: answer, text: () => showFleet(answer, session) };
      };
      if (options.watch) return watch(session, show);
      const { value, text } = await show();
      session.print(value, text);
    });

const showFleet = (answer: FleetAnswer, session: Session): string => {
  const { revision, leader, agents, troubles = [] } = answer;
  const { colors, world } = session;
  const about = `revision ${revision}, leader ${leader.instance} (epoch ${leader.epoch})`;
  const head = [about, ...troubles.map((one) => colors.red(one)), ''].join('\n');
  if (agents.length === 0) return `${head}no agents yet\n`;
  const rows = agents.map((agent) => [
    agent.agent,
    agent.scope,
    `${agent.revision}`,
    formatPosition(agent.position),
    formatAge(agent.ageMs),
    paintState(agent, session),
    rejection(agent, world.now()),
  ]);
  const names = ['AGENT', 'SCOPE', 'REVISION', 'POSITION', 'AGE', 'STATE', 'LAST REJECTION'];
  return `${head}${table(
    names.map((name) => colors.bold(name)),
    rows,
  )}`;
};

const paintState = (agent: AgentStatus, { colors }: Session): string => {
  if (agent.state === 'lost') return colors.red('lost');
  if (agent.state !== 'live') return colors.yellow(agent.state);
  return agent.current ? colors.green('live') : colors.yellow('live, behind');
};

const rejection = ({ lastRejection: last }: AgentStatus, now: number): string =>
  last ? `${last.outcome} ${formatAge(now - last.atMs)} ago: ${last.reason ?? ''}` : '-';
