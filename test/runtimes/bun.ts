/** The suite in Bun. Usage: bun.ts <directory> [servers] */
import { bunSqlite } from '../../src/drivers/sqlite/bun-sqlite.ts'
import { runNetwork, runSuite } from './run.ts'

await runSuite(process.argv[2]!, { 'bun:sqlite': (path, clock) => () => bunSqlite({ path, clock }) })
await runNetwork(process.argv[3])
