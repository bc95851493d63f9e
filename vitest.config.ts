import { defineConfig } from 'vitest/config';

// Three speeds: `unit` never leaves the process; `integration` opens sockets and starts nats-server;
// `e2e` starts whole installations. Real time and sockets belong to the last two only.
// There a starved machine can outrun a deadline, so CI gives such a test a second try, and says so (`retry x1`).
const retry = process.env['CI'] ? 1 : 0;
const slow = ['test/**/*.integration.test.ts', 'test/**/*.e2e.test.ts'];

export default defineConfig({
  test: {
    // Most of a test's time is waiting; the default leaves a core of two idle.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: slow,
          // One module graph per worker instead of one per file: half of the time.
          isolate: false,
          // Properties take seconds where the machine is busy with other things.
          testTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/**/*.integration.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          retry,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          retry,
        },
      },
    ],
  },
});
