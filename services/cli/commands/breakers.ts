// `weir breakers`: endpoints that the fleet keeps away from, and doing so by hand.
import { Command } from 'commander';
import type { BreakerAnswer, BreakerStatus } from '#engine/model/api.ts';
import { formatAge, table } from '../output.ts';
import { examples, type Session } from '../session.ts';
import { watch } from '../watch.ts';

export const breakersCommand = (session: Session): Command => {
  const breakers = new Command('breakers')
    .description('Show endpoints that the fleet keeps away from, and why')
    .option('-w, --watch', 'again every second, until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        ['weir breakers', 'those that are or lately were open; all others are closed'],
        ['weir breakers --watch', 'live'],
        ['weir breakers open shop/cart/10.0.0.7:8080 --reason "bad disk"', 'take one out'],
        ['weir breakers close shop/cart/10.0.0.7:8080', 'and let traffic in again'],
      ),
    )
    .action(async (options: { watch?: true }) => {
      const client = session.client();
      const show = async () => {
        const answer = await client.call('breaker.status');
        return { value: answer, text: () => showBreakers(answer, session) };
      };
      if (options.watch) return watch(session, show);
      const { value, text } = await show();
      session.print(value, text);
    });
  breakers.addCommand(
    byHand(session, 'open', 'Take an endpoint out for everybody, for its base ejection time'),
  );
  breakers.addCommand(byHand(session, 'close', 'Let traffic to an endpoint in again'));
  return breakers;
};

const byHand = (session: Session, verb: 'open' | 'close', about: string): Command =>
  new Command(verb)
    .description(about)
    .argument('<endpoint>', 'namespace/service@version/address:port')
    .option('--reason <text>', 'why, for the record')
    .addHelpText(
      'after',
      examples([`weir breakers ${verb} shop/cart@v2/10.0.0.7:8080`, about.toLowerCase()]),
    )
    .action(async (endpoint: string, { reason }: { reason?: string }) => {
      const answer = await session
        .client()
        .call(`breaker.${verb}`, { endpoint, ...(reason === undefined ? {} : { reason }) });
      session.print(answer, () => showBreakers(answer, session));
    });

const showBreakers = ({ breakers }: BreakerAnswer, session: Session): string => {
  if (breakers.length === 0) return 'Every endpoint is in use.\n';
  const { colors, world } = session;
  const names = ['ENDPOINT', 'STATE', 'SINCE', 'OPENINGS', 'REASON'];
  const rows = breakers.map((breaker) => [
    breaker.endpoint,
    paint(breaker, session),
    formatAge(world.now() - breaker.changedMs),
    `${breaker.openings}`,
    breaker.reason,
  ]);
  return table(
    names.map((name) => colors.bold(name)),
    rows,
  );
};

const paint = ({ state, prober, openUntilMs }: BreakerStatus, session: Session): string => {
  const { colors, world } = session;
  if (state === 'closed') return colors.green('closed');
  if (state === 'halfOpen') return colors.yellow(`half-open, ${prober ?? 'nobody'} probes`);
  const leftMs = Math.max(0, (openUntilMs ?? 0) - world.now());
  return colors.red(`open for another ${formatAge(leftMs)}`);
};
