// Programs that others wrote. A test that lacks one is skipped, and says how to install it.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';
import { closing } from '#test/adapters/dataplane-node/support.ts';

/** How to install them. */
const programs = {
  ab: 'apt-get install apache2-utils',
  curl: 'apt-get install curl',
  h2load: 'apt-get install nghttp2-client',
  h2spec: 'go install github.com/summerwind/h2spec/cmd/h2spec@latest',
  nghttp: 'apt-get install nghttp2-client',
  nginx: 'apt-get install nginx',
  wrk: 'apt-get install wrk',
} as const;

export type Program = keyof typeof programs;

const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`;

/** Skips the test if there is no such program. */
export const needs = (context: TestContext, program: Program): void => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { env: { PATH }, stdio: 'ignore' });
  } catch {
    context.skip(`${program} is not installed: ${programs[program]}`);
  }
};

const execute = promisify(execFile);

/** What it prints. Throws when it exits with an error. */
export const run = async (program: Program, ...args: readonly string[]): Promise<string> =>
  (await execute(program, args, { env: { PATH }, timeout: 60_000, encoding: 'latin1' })).stdout;

/** A folder that every user may read, gone after the test. */
export const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'weir-interop-'));
  chmodSync(path, 0o755);
  closing(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

/** An nginx that serves `root` with these directives of a server block; returns its port. */
export const startNginx = async (root: string, directives: string): Promise<number> => {
  const port = await freePort();
  const at = folder();
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${at}/${name};`)
    .join(' ');
  const config = `daemon off; master_process off; pid ${at}/pid; error_log ${at}/error.log;
events { worker_connections 512; }
http { access_log off; ${paths} types { text/plain txt; application/json json; }
  server { listen 127.0.0.1:${port}; root ${root}; ${directives} } }
`;
  const file = join(at, 'nginx.conf');
  writeFileSync(file, config);
  const child = spawn('nginx', ['-c', file], { env: { PATH }, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  closing(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  for (let i = 0; !(await isOpen(port)); i++) {
    if (i > 1000 || child.exitCode !== null) throw new Error(`nginx did not start: ${config}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return port;
};
