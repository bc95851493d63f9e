// `weir apply`, `weir diff`: policy documents on their way to control.
import { Command } from 'commander';
import type {
  ApplyAnswer,
  ApplyRequest,
  DeleteRequest,
  RollbackRequest,
  WaitAnswer,
  WaitFor,
} from '#engine/model/api.ts';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import type { CanaryOptions } from '#engine/model/policy-canary.ts';
import { showCanary } from '../canary-view.ts';
import { waitForCanary } from '../canary-wait.ts';
import { ApiError } from '../client.ts';
import { readDocuments } from '../documents.ts';
import { CliError, exitCodes } from '../exit.ts';
import { parseMs } from '../names.ts';
import { formatAge } from '../output.ts';
import { examples, type Session } from '../session.ts';

export interface WaitOptions {
  readonly wait?: string | true;
  readonly timeout: string;
}

export const withWait = (command: Command): Command =>
  command
    .option('--wait [all|N%]', 'until all (or N percent) of the agents concerned have applied it')
    .option('--timeout <duration>', 'how long --wait waits', '30s');

interface ApplyOptions extends WaitOptions {
  readonly file: string[];
  readonly dryRun?: true;
  readonly message?: string;
  readonly allOrNothing?: true;
  readonly canary?: string | true;
  readonly maxDuration: string;
}

const fileOption = [
  '-f, --file <path>',
  'file, folder or - for standard input; repeatable',
] as const;
const collect = (value: string, earlier: string[] = []) => [...earlier, value];

export const applyCommand = (session: Session): Command =>
  withWait(
    new Command('apply')
      .description('Apply policy documents')
      .requiredOption(...fileOption, collect)
      .option('--dry-run', 'compile and show what would change, and change nothing')
      .option('-m, --message <text>', 'why, for the history')
      .option('--all-or-nothing', 'refuse everything when any document has an error')
      .option(
        '--canary [N%|N]',
        'some agents of each scope try it first (10%, at least one); --wait then waits until it is decided',
      )
      .option('--max-duration <duration>', 'a canary not decided by then is taken back', '10m'),
  )
    .addHelpText(
      'after',
      examples(
        ['weir apply -f policies/', 'all YAML files below the folder'],
        ['weir apply -f route.yaml --wait 95% -m "new route"', 'and wait for the fleet'],
        ['weir apply -f policies/ --canary 20% --wait', 'a fifth of the agents first, then all'],
        ['cat route.yaml | weir apply -f - --dry-run', 'look before you leap'],
      ),
    )
    .action(async (options: ApplyOptions, command: Command) => {
      const request: ApplyRequest = {
        documents: await readDocuments(options.file, session.world),
        ...(options.message === undefined ? {} : { message: options.message }),
        ...(options.dryRun ? { dryRun: true } : {}),
        ...(options.allOrNothing ? { allOrNothing: true } : {}),
      };
      if (options.canary === undefined || options.dryRun) {
        await commit(session, 'policy.apply', { ...request, ...waitRequest(options) });
        return;
      }
      const canary = canaryRequest(options.canary, options.maxDuration);
      const answer = await send(session, 'policy.apply', { ...request, canary });
      const isWaiting = answer.canary !== undefined && options.wait !== undefined;
      // A script gets one document: how it ended.
      if (!isWaiting || session.format() === 'table') report(session, 'policy.apply', answer);
      if (!answer.canary || !isWaiting) return;
      // Unless told otherwise, for as long as it can take.
      const isTold = command.getOptionValueSource('timeout') !== 'default';
      const timeoutMs = isTold ? parseMs(options.timeout) : canary.maxDurationMs + 60_000;
      await waitForCanary(session, session.client(), answer.canary, timeoutMs);
    });

const canaryRequest = (share: string | true, maxDuration: string): CanaryOptions => {
  const maxDurationMs = parseMs(maxDuration);
  const [, number, percent] =
    /^([0-9]+(?:\.[0-9]+)?)(%?)$/.exec(share === true ? '10%' : share) ?? [];
  const value = Number(number);
  if (percent === '%' && value > 0 && value <= 100) return { percent: value, maxDurationMs };
  if (percent === '' && Number.isSafeInteger(value) && value > 0)
    return { count: value, maxDurationMs };
  throw new CliError(
    exitCodes.usage,
    `--canary takes a percentage or a number of agents, not "${String(share)}".`,
  );
};

export const diffCommand = (session: Session): Command =>
  new Command('diff')
    .description('Show how documents differ from the policy in force')
    .requiredOption(...fileOption, collect)
    .addHelpText('after', examples(['weir diff -f policies/', 'what `weir apply` would change']))
    .action(async (options: { file: string[] }) => {
      const documents = await readDocuments(options.file, session.world);
      await commit(session, 'policy.diff', { documents });
    });

type Change = 'policy.apply' | 'policy.diff' | 'policy.delete' | 'policy.rollback';

type Request = ApplyRequest | DeleteRequest | RollbackRequest;

/** Sends a change and reports it; throws the exit code that fits. */
export const commit = async (
  session: Session,
  operation: Change,
  request: Request,
): Promise<void> => report(session, operation, await send(session, operation, request));

const send = async (
  session: Session,
  operation: Change,
  request: Request,
): Promise<ApplyAnswer> => {
  const timeoutMs = 30_000 + (request.wait?.timeoutMs ?? 0);
  return await session
    .client()
    .call(operation, request, { timeoutMs })
    .catch((error) => {
      if (error instanceof ApiError) session.diagnostics(diagnosticsIn(error.details));
      throw error;
    });
};

const report = (session: Session, operation: Change, answer: ApplyAnswer): void => {
  session.print(answer, () => describe(answer, operation, session));
  if (session.format() === 'table') session.diagnostics(answer.diagnostics);
  judge(answer);
};

export const waitRequest = (options: WaitOptions): { wait?: WaitFor } => {
  if (options.wait === undefined) return {};
  const text = options.wait === true || options.wait === 'all' ? '100%' : options.wait;
  const percent = Number(/^([0-9]+(?:\.[0-9]+)?)%?$/.exec(text)?.[1]);
  if (!(percent >= 1 && percent <= 100))
    throw new CliError(exitCodes.usage, `--wait takes all or a percentage, not "${text}".`);
  return { wait: { percent, timeoutMs: Math.max(1, parseMs(options.timeout)) } };
};

const diagnosticsIn = (details: unknown): readonly Diagnostic[] => {
  const list = Array.isArray(details)
    ? details
    : (details as { diagnostics?: unknown } | undefined)?.diagnostics;
  return Array.isArray(list) ? (list as Diagnostic[]) : [];
};

const describe = (answer: ApplyAnswer, operation: Change, session: Session): string => {
  const { colors } = session;
  const isDiff = operation === 'policy.diff';
  const paint = { created: colors.green, updated: colors.yellow, deleted: colors.red };
  const lines = answer.changes.flatMap(({ id, change, diff }) => {
    // Who applies files wants each of them accounted for; elsewhere only what moves is news.
    if (change === 'unchanged')
      return operation === 'policy.apply' ? [colors.dim(`unchanged  ${id}`)] : [];
    const shown = isDiff || answer.dryRun ? (diff ?? '').trimEnd() : '';
    return [`${paint[change](change.padEnd(9))}  ${id}`, ...(shown ? [shown] : [])];
  });
  const refused = answer.quarantined.map((id) => `${colors.red('refused')}    ${id}`);
  const state = `revision ${answer.revision}${answer.dryRun || isDiff ? ' (nothing was changed)' : ''}`;
  const wait = answer.wait ? [describeWait(answer.wait)] : [];
  const text = `${[...lines, ...refused, state, ...wait].join('\n')}\n`;
  return answer.canary ? text + showCanary(answer.canary, session) : text;
};

const describeWait = ({ reached, applied, agents, slowestMs, missing }: WaitAnswer): string => {
  const count = `applied by ${applied} of ${agents} agents`;
  if (reached) return `${count} in ${formatAge(slowestMs)}`;
  return `${count}; still missing: ${missing.join(', ') || 'none known'}`;
};

const judge = ({ diagnostics, quarantined, wait }: ApplyAnswer): void => {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  if (errors > 0 || quarantined.length > 0)
    throw new CliError(
      exitCodes.rejected,
      `${errors} error${errors === 1 ? '' : 's'}; what has one is not in force, the rest is unharmed.`,
    );
  if (wait && !wait.reached)
    throw new CliError(exitCodes.timedOut, 'Not all agents applied it in time.', {
      hint: '`weir status` shows who is lost or has rejected it.',
    });
};
