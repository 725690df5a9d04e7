import { defineConfig } from 'vitest/config'

/** Set when the SQLite suites run a second time, under Node 24: see scripts/check.ts. */
const node24 = process.env['HOLDFAST_SQLITE'] === 'node24'

export default defineConfig({
  test: {
    include: [node24 ? 'test/drivers/sqlite*.test.ts' : 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    silent: 'passed-only',
  },
})
