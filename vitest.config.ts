import { defineConfig } from 'vitest/config'

/** Set when the SQLite suites run a second time, under Node 24: see scripts/test.ts. */
const node24 = process.env['HOLDFAST_SQLITE'] === 'node24'

/** What goes through a SQLite engine. */
const SQLITE_SUITES = ['drivers/sqlite', 'model', 'linearizability', 'crash', 'processes', 'runner'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
)

export default defineConfig({
  test: {
    include: node24 ? SQLITE_SUITES : ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // What hangs is found all the same; what is only slow on a busy machine is no failure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxConcurrency: 8,
    silent: 'passed-only',
    // Cases that wait do so by the second; only what is far slower is worth a line.
    slowTestThreshold: 30_000,
  },
})
