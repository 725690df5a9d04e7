/** The suite in Bun. Usage: bun.ts <directory> <cases> [servers] */
import { bunSqlite } from '../../src/drivers/sqlite/bun-sqlite.ts'
import { runNetwork, runSuite } from './run.ts'

await runSuite(process.argv[2]!, process.argv[3]!, { 'bun:sqlite': (path, clock) => () => bunSqlite({ path, clock }) })
await runNetwork(process.argv[4])
