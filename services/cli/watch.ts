// Shows something again and again: redrawn on a terminal, printed on change elsewhere.
import { CliError, exitCodes } from './exit.ts';
import { serialize } from './output.ts';
import type { Session } from './session.ts';

export interface View {
  readonly value: unknown;
  text(): string;
  /** The last one to show. */
  readonly isFinal?: boolean;
}

const CLEAR = '\x1b[H\x1b[2J';
const INTERVAL_MS = 1000;

/** A moment without control is shown and survived, unless it was never there. */
export const watch = async (session: Session, look: () => Promise<View>): Promise<void> => {
  const { world } = session;
  const format = session.format();
  let last = '';
  for (;;) {
    let text: string;
    let isFinal = false;
    try {
      const view = await look();
      text = format === 'table' ? view.text() : serialize(view.value, format);
      isFinal = view.isFinal ?? false;
    } catch (error) {
      const isAway = error instanceof CliError && error.exitCode === exitCodes.unreachable;
      if (!isAway || last === '') throw error;
      text = `${error.message}\n`;
    }
    if (text !== last) world.out(world.isTerminal && format === 'table' ? CLEAR + text : text);
    last = text;
    if (isFinal || world.stop.aborted) return;
    await world.sleep(INTERVAL_MS);
    if (world.stop.aborted) return;
  }
};
