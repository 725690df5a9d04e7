/**
 * The cases of one store over one driver.
 *
 * Usage: npm run test:store -- <store> [--driver <driver>] [--watch]
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { cases } from '../src/testing/index.ts'
import { environment } from './environment.ts'

/** Where each driver goes through the suite, and by what name. */
const DRIVERS: Readonly<Record<string, readonly [file: string, suite: string]>> = {
  memory: ['test/drivers/memory.test.ts', 'memory'],
  sqlite: ['test/drivers/sqlite/conformance.test.ts', 'better-sqlite3'],
  indexeddb: ['test/drivers/indexeddb/conformance.test.ts', 'indexeddb'],
  postgres: ['test/drivers/postgres/conformance.test.ts', 'drizzle and a pool of pg'],
  upstash: ['test/drivers/upstash/conformance.test.ts', 'upstash over @upstash/redis'],
  unstorage: ['test/drivers/unstorage.test.ts', 'unstorage over memory'],
}
const GROUPS = [...new Set(cases.map(({ group }) => group))]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { driver: { type: 'string', default: 'memory' }, watch: { type: 'boolean', default: false } },
})
const group = GROUPS.find((name) => name === positionals[0])
const driver = DRIVERS[values.driver]
if (group === undefined || driver === undefined || positionals.length > 1) {
  console.error(`Usage: npm run test:store -- <store> [--driver <driver>] [--watch]
  store: ${GROUPS.join(', ')}
  driver: ${Object.keys(DRIVERS).join(', ')}`)
  process.exit(2)
}

const [file, suite] = driver
const pattern = `holdfast conformance of .*${suite.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)} ${group} `
const args = [values.watch ? 'watch' : 'run', file, '--testNamePattern', pattern]
// All cases of the store, whatever a quick run would leave out.
const result = spawnSync('vitest', args, { env: environment({ HOLDFAST_SUITE: 'whole' }), stdio: 'inherit' })
process.exitCode = result.status ?? 1
