import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Most of a database test is waiting: one worker less than there are cores, the default, leaves two cores half idle.
    maxWorkers: 3,
    // Every file would load the whole program again, and start a PGlite of its own: half of the time of a run. So a file
    // undoes what it does to the process: timers, spies, environment, umask.
    isolate: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          globalSetup: ['test/support/scratch.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'database',
          include: ['test/{integration,e2e,fault}/**/*.test.ts'],
          // One real PostgreSQL for the whole run; every test file makes its own database in it.
          globalSetup: ['test/support/scratch.ts', 'test/support/postgres-server.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
