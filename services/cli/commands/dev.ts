// `weir dev`: control and edge in one process on the in-memory bus, reloading as files are saved.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Command } from 'commander';
import { CliError, exitCodes } from '../exit.ts';
import { examples, type Session } from '../session.ts';

export const devCommand = (session: Session): Command =>
  new Command('dev')
    .description('Try policies without a server: control and edge in one process, reload on save')
    .requiredOption('-f, --file <folder>', 'folder or file with policies')
    .option('--port <port>', 'where the edge listens', '8080')
    .option('--admin-port <port>', 'where the admin API listens', '7400')
    .addHelpText(
      'after',
      examples(['weir dev -f policies/', 'edit a file, save it, and the edge has it']),
    )
    .action(async (options: { file: string; port: string; adminPort: string }) => {
      const { root, cwd, env } = session.world;
      const args = ['-f', options.file, '--port', options.port, '--admin-port', options.adminPort];
      // Ctrl-C reaches the child by itself, as both stand in the terminal's foreground.
      const child = spawn(process.execPath, [join(root, 'services', 'dev', 'main.ts'), ...args], {
        cwd,
        env,
        stdio: 'inherit',
      });
      const end = new AbortController();
      session.world.stop.addEventListener('abort', () => child.kill('SIGTERM'), end);
      const code = await new Promise<number>((resolve) => {
        child.once('error', () => resolve(1));
        child.once('exit', (status) => resolve(status ?? 1));
      });
      end.abort();
      if (code !== 0 && !session.world.stop.aborted)
        throw new CliError(code === 2 ? exitCodes.usage : exitCodes.failed, 'weir dev ended.');
    });
