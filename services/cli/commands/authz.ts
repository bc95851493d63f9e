// `weir authz test`: requests and the verdicts that people expect, for their CI.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { compileForTests, type TestPolicies } from '../authz/policies.ts';
import { runTests, type TestResult } from '../authz/run-tests.ts';
import { readTable } from '../authz/table.ts';
import { type Document, readDocuments } from '../documents.ts';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

export const authzCommand = (session: Session): Command =>
  new Command('authz')
    .description('Authorization: who may do what')
    .addCommand(testCommand(session))
    .addHelpText('after', examples(['weir authz test authz.yaml -f policies/', 'without control']));

const testCommand = (session: Session): Command =>
  new Command('test')
    .description('Send requests of a table through the policies and compare the verdicts')
    .argument('<file>', 'table of requests and expected verdicts')
    .option('-f, --file <path>', 'policies: file, folder or -; repeatable', collect)
    .addHelpText('after', tableHelp)
    .addHelpText(
      'after',
      examples(
        ['weir authz test authz.yaml -f policies/', 'policies of this checkout, without control'],
        ['weir authz test authz.yaml', 'the policies that are in force'],
        ['weir authz test authz.yaml -f policies/ -o json', 'for a script'],
      ),
    )
    .action(async (file: string, options: { readonly file?: readonly string[] }) => {
      const table = readTable(file, read(file, session));
      const policies = await compileForTests(await documentsOf(options.file, session));
      session.diagnostics(policies.diagnostics);
      const results = await runTests(table, policies, session.world.now());
      const failed = results.filter(({ passed }) => !passed).length;
      const passed = results.length - failed;
      session.print({ passed, failed, errors: policies.diagnostics.length, tests: results }, () =>
        showResults(file, results, session),
      );
      conclude(failed, results.length, policies);
    });

const tableHelp = `
A table:
  tests:
    - name: librarians may change books
      request: PUT http://api.bibby.com/catalog/books/7
      claims: { sub: lena, roles: [librarian] }   # a token with these; null takes a usual claim away
      expect: allow
      service: bibby/catalog-service
    - request: PUT http://api.bibby.com/catalog/books/7
      claims: { roles: [reader] }
      expect: deny                                # also: status, policy, rule
      status: 403
  Further: consumer, groups, headers, client (address), peer (identity), time, scope.
`;

const collect = (path: string, earlier: readonly string[] = []): readonly string[] => [
  ...earlier,
  path,
];

const read = (file: string, { world }: Session): string => {
  try {
    return readFileSync(resolve(world.cwd, file), 'utf8');
  } catch {
    throw new CliError(exitCodes.usage, `${file} cannot be read.`);
  }
};

/** What `-f` names, else what is in force. */
const documentsOf = async (
  paths: readonly string[] | undefined,
  session: Session,
): Promise<readonly Document[]> => {
  if (paths !== undefined) return readDocuments(paths, session.world);
  const { resources } = await session.client().call('policy.get');
  return resources.map(({ file, text }) => ({ file, text }));
};

const showResults = (file: string, results: readonly TestResult[], { colors }: Session): string => {
  const lines = results.flatMap((result) => {
    const { name, passed, why, request, line, expected, remarks } = result;
    if (passed) return [`${colors.green('✓')} ${name}  ${colors.dim(why)}`];
    const what = result.verdict === 'none' ? 'no route' : result.verdict;
    return [
      `${colors.red('✗')} ${name}  ${colors.dim(`${file}:${line}`)}`,
      `    ${request}`,
      `    expected ${expected}, got ${what}: ${why}`,
      ...remarks.map((remark) => `    ${colors.dim(remark)}`),
    ];
  });
  const failed = results.filter(({ passed }) => !passed).length;
  const sum = `${results.length - failed} passed${failed > 0 ? `, ${failed} failed` : ''}`;
  return `${lines.join('\n')}\n\n${failed > 0 ? colors.red(sum) : colors.green(sum)}\n`;
};

const conclude = (failed: number, all: number, { diagnostics }: TestPolicies): void => {
  if (failed > 0)
    throw new CliError(exitCodes.failed, `${failed} of ${all} verdicts are not as expected.`);
  if (diagnostics.length > 0)
    throw new CliError(exitCodes.failed, 'The policies have errors, so not all of them took part.');
};
