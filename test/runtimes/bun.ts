/** The suite in Bun. Usage: bun.ts <directory> */
import { bunSqlite } from '../../src/drivers/sqlite/bun-sqlite.ts'
import { runSuite } from './run.ts'

await runSuite(process.argv[2]!, { 'bun:sqlite': (path, clock) => () => bunSqlite({ path, clock }) })
