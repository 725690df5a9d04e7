/** The HTTP tests of Neon's driver, as it is bundled, against the local server over a real PostgreSQL. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import pg from 'pg'
import { startVitest } from 'vitest/node'
import { part } from '../../scripts/parts.ts'
import { overPools, startNeon, withPassword } from '../../src/dev/neon.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import type { Result, Vendor } from './result.ts'

const PASSWORD = 'local'
/** Those over WebSockets are of another protocol, and one signs in at a service. */
const FILES = ['tests/cli/http.test.ts', 'tests/cli/httpTransaction.test.ts', 'tests/packages/drizzle/http.test.ts']

interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

export const neonServerless: Vendor = {
  name: '@neondatabase/serverless',
  manifest: 'package.json',
  async run(directory) {
    const bin = part('postgres')
    if (!bin) throw new Error('PostgreSQL is missing: tsx scripts/parts.ts installs it')
    const server = await startPostgres({ bin, fsync: false })
    const pools = new Map<string, pg.Pool>()
    const http = await startNeon(
      withPassword(
        PASSWORD,
        overPools(({ username, pathname }) => {
          const connectionString = `postgres://${username}@127.0.0.1:${server.port}${pathname}`
          const pool = pools.get(connectionString) ?? new pg.Pool({ connectionString, max: 4 })
          pools.set(connectionString, pool)
          return pool
        }),
      ),
    )
    try {
      const report = join(directory, 'report.json')
      process.env['VITE_NEON_DB_URL'] = `postgres://postgres:${PASSWORD}@db.neon.tech:${http.port}/postgres`
      process.env['HOLDFAST_VENDOR_POSTGRES'] = String(server.port)
      const vitest = await startVitest(
        'test',
        [],
        {
          root: directory,
          config: false,
          run: true,
          watch: false,
          include: FILES,
          setupFiles: [join(import.meta.dirname, 'neon-setup.ts')],
          fileParallelism: false,
          testTimeout: 60_000,
          reporters: ['json'],
          outputFile: report,
        },
        {
          resolve: {
            alias: {
              '@neondatabase/serverless': join(directory, 'index.mjs'),
              'node-fetch': join(import.meta.dirname, 'neon-fetch.ts'),
            },
          },
        },
      )
      await vitest.close()
      return [...resultsOf(directory, JSON.parse(readFileSync(report, 'utf8')) as Report)]
    } finally {
      await http.close()
      await Promise.all([...pools.values()].map((pool) => pool.end()))
      await server.stop()
      // What the vendor's tests came to is told by us.
      process.exitCode = 0
    }
  },
}

function* resultsOf(directory: string, { testResults }: Report): Generator<Result> {
  for (const { name, assertionResults } of testResults) {
    const file = relative(directory, name)
    // A file that does not load has no tests.
    if (assertionResults.length === 0) yield { file, test: '(all of it)', outcome: 'failed' }
    for (const { fullName, status } of assertionResults) {
      yield { file, test: fullName, outcome: status === 'passed' || status === 'failed' ? status : 'skipped' }
    }
  }
}
