// `weir get`, `delete`, `history`, `rollback`: the policy set and its past.
import { Command } from 'commander';
import { parse } from 'yaml';
import type { GetAnswer, HistoryAnswer } from '#engine/model/api.ts';
import { CliError, exitCodes } from '../exit.ts';
import { parseKind, parseName } from '../names.ts';
import { formatTime, serialize, table } from '../output.ts';
import { examples, type Session } from '../session.ts';
import { commit, type WaitOptions, waitRequest, withWait } from './apply.ts';

export const getCommand = (session: Session): Command =>
  new Command('get')
    .description('Show policy resources; one by name as it was written')
    .argument('[kind]', 'Route, Service, ...')
    .argument('[name]', 'NAME or NAMESPACE/NAME')
    .option('--revision <n>', 'as they were at this revision')
    .addHelpText(
      'after',
      examples(
        ['weir get', 'everything'],
        ['weir get routes --namespace bibby', 'the Routes of one namespace'],
        ['weir get route bibby/catalog', 'one document as it was written'],
        ['weir get -o yaml --revision 3 > backup.yaml', 'the whole set as it was at revision 3'],
      ),
    )
    .action(
      async (
        kind: string | undefined,
        text: string | undefined,
        options: { revision?: string },
      ) => {
        const target = text === undefined ? {} : parseName(text, session.options.namespace);
        const answer = await session.client().call('policy.get', {
          namespace: session.options.namespace,
          ...target,
          ...(kind === undefined ? {} : { kind: parseKind(kind) }),
          ...(options.revision === undefined ? {} : { revision: parseRevision(options.revision) }),
        });
        if (text !== undefined && answer.resources.length === 0)
          throw new CliError(exitCodes.failed, `There is no ${kind} ${text}.`, {
            hint: '`weir get` lists what there is.',
          });
        session.world.out(showResources(answer, session.format(text ? 'yaml' : 'table'), session));
      },
    );

export const deleteCommand = (session: Session): Command =>
  withWait(
    new Command('delete')
      .description('Delete a policy resource')
      .argument('<kind>', 'Route, Service, ...')
      .argument('<name>', 'NAME or NAMESPACE/NAME')
      .option('-m, --message <text>', 'why, for the history'),
  )
    .addHelpText('after', examples(['weir delete route bibby/catalog', 'and say good-bye to it']))
    .action(async (kind: string, text: string, options: WaitOptions & { message?: string }) => {
      const { namespace = 'default', name } = parseName(text, session.options.namespace);
      await commit(session, 'policy.delete', {
        ids: [`${parseKind(kind)}/${namespace}/${name}`],
        ...(options.message === undefined ? {} : { message: options.message }),
        ...waitRequest(options),
      });
    });

export const historyCommand = (session: Session): Command =>
  new Command('history')
    .description('Show who changed what and when')
    .option('--limit <n>', 'how many commits', '20')
    .addHelpText('after', examples(['weir history --limit 5', 'the last five commits']))
    .action(async (options: { limit: string }) => {
      const limit = Math.min(Math.max(parseRevision(options.limit), 1), 1000);
      const answer = await session.client().call('policy.history', { limit });
      session.print(answer, () => showHistory(answer));
    });

export const rollbackCommand = (session: Session): Command =>
  withWait(
    new Command('rollback')
      .description('Make an earlier revision the policy again, as a new commit')
      .argument('<revision>', 'a number of `weir history`')
      .option('-m, --message <text>', 'why, for the history'),
  )
    .addHelpText('after', examples(['weir rollback 7 --wait', 'back to revision 7']))
    .action(async (text: string, options: WaitOptions & { message?: string }) => {
      const revision = parseRevision(text);
      if (revision === 0)
        throw new CliError(
          exitCodes.usage,
          'Revision 0 is before the first commit: that would delete everything.',
          { hint: '`weir history` shows the revisions; `weir delete` deletes one resource.' },
        );
      await commit(session, 'policy.rollback', {
        revision,
        ...(options.message === undefined ? {} : { message: options.message }),
        ...waitRequest(options),
      });
    });

const parseRevision = (text: string): number => {
  if (!/^r?[0-9]{1,15}$/.test(text))
    throw new CliError(exitCodes.usage, `"${text}" is not a number.`);
  return Number(text.replace('r', ''));
};

const showResources = (answer: GetAnswer, format: string, { colors }: Session): string => {
  if (format === 'yaml')
    return answer.resources.map(({ text }) => `${text.trimEnd()}\n`).join('---\n');
  if (format === 'json') {
    const resources = answer.resources.map(({ text, ...rest }) => ({
      ...rest,
      document: parse(text) as unknown,
    }));
    return serialize({ revision: answer.revision, resources }, 'json');
  }
  if (answer.resources.length === 0) return `nothing at revision ${answer.revision}\n`;
  const rows = answer.resources.map(({ id, file, line, quarantined }) => {
    const [kind = '', namespace = '', name = ''] = id.split('/');
    const state = quarantined ? colors.red('quarantined') : 'in force';
    return [kind, namespace, name, state, `${file}:${line}`];
  });
  return table(['KIND', 'NAMESPACE', 'NAME', 'STATE', 'FROM'], rows);
};

const showHistory = ({ commits, revision }: HistoryAnswer): string => {
  if (commits.length === 0) return 'nothing has been committed yet\n';
  const rows = commits.map((commit) => [
    `${commit.revision}${commit.revision === revision ? ' *' : ''}`,
    formatTime(commit.atMs),
    commit.author,
    summarize(commit.changes),
    commit.message,
  ]);
  return table(['REVISION', 'WHEN (UTC)', 'WHO', 'CHANGES', 'MESSAGE'], rows);
};

const summarize = (changes: HistoryAnswer['commits'][number]['changes']): string => {
  const [first, ...more] = changes.map(({ type, id }) => `${type === 'put' ? '+' : '-'}${id}`);
  return `${first ?? ''}${more.length > 0 ? ` and ${more.length} more` : ''}`;
};
