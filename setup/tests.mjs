// Checks and tests in sequence, and at the very end one line that counts them all.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { npm, run, SetupError } from './process.mjs';

const CHECKS = ['format', 'types', 'lint', 'fence', 'unused'];
const KINDS = ['unit', 'integration', 'e2e'];

const chosenKinds = () => {
  const wanted = (process.env.WEIR_TEST ?? KINDS.join(',')).split(',').map((kind) => kind.trim());
  const unknown = wanted.find((kind) => !KINDS.includes(kind));
  if (unknown !== undefined)
    throw new SetupError(`WEIR_TEST: "${unknown}" is none of ${KINDS.join(', ')}.`);
  return KINDS.filter((kind) => wanted.includes(kind));
};

const runCheck = async (check) => {
  const { code, output } = await npm(['run', '--silent', check]);
  console.log(code === 0 ? `${check}: ok` : `${check}: failed\n${output.trimEnd()}`);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
};

/** A file that does not load or an error outside of any test has no failed test to show for it; it counts as one. */
const countTests = (reportFile, code) => {
  try {
    const report = JSON.parse(readFileSync(reportFile, 'utf8'));
    const failed = report.numFailedTests;
    const broken = report.testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    ).length;
    return {
      passed: report.numPassedTests,
      failed: failed + broken || (code === 0 ? 0 : 1),
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
};

const runKind = async (kind, { node, filters, folder }) => {
  const reportFile = join(folder, `${kind}.json`);
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', kind];
  const reports = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const { code } = await run(node, [...vitest, ...reports, '--passWithNoTests', ...filters], {
    stdio: 'inherit',
  });
  return countTests(reportFile, code);
};

/** The exit code. */
export const runTests = async ({ node, withChecks, filters }) => {
  const kinds = chosenKinds();
  const folder = mkdtempSync(join(tmpdir(), 'weir-tests-'));
  const counts = [];
  try {
    if (withChecks) for (const check of CHECKS) counts.push(await runCheck(check));
    for (const kind of kinds) counts.push(await runKind(kind, { node, filters, folder }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const sum = (what) => counts.reduce((total, count) => total + count[what], 0);
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
  return sum('failed') === 0 ? 0 : 1;
};
