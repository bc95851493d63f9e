// What the README shows is what a reader will type. Every `sh` block runs as it stands, in order, beside one `npm start`.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DemoRun, root, startDemo } from './demo-run.ts';

const run = promisify(execFile);
const hasNatsCli = await run('nats', ['--version']).then(
  () => true,
  () => false,
);

const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)]
  .map(([, text]) => text ?? '')
  .map((text) => ({ text, title: text.split('\n')[0] ?? '' }));

let demo: DemoRun;
beforeAll(async () => {
  demo = await startDemo(['--no-traffic']);
  await demo.says('there will be no evidence');
});
afterAll(() => demo?.close());

/** The reader's own port and folder in place of the defaults. */
const here = (text: string): string =>
  text.replaceAll('localhost:8080', `localhost:${demo.port}`).replaceAll('.weir/', `${demo.home}/`);

describe('the README', () => {
  it('has things to try', () => {
    expect(blocks.length).toBeGreaterThan(5);
  });

  for (const { text, title } of blocks) {
    const needsNats = text.startsWith('nats ') && !hasNatsCli;
    const name = needsNats
      ? `${title} (skipped: no nats command; go install github.com/nats-io/natscli/nats@latest)`
      : title;
    it.skipIf(needsNats)(name, async () => {
      const { stdout, stderr } = await run('bash', ['-euo', 'pipefail', '-c', here(text)], {
        cwd: root,
        env: { ...process.env, WEIR_HOME: demo.home },
        timeout: 60_000,
      });
      expect((stdout + stderr).length).toBeGreaterThan(0);
    });
  }
});
