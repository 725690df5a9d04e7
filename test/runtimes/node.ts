/** The suite in a newer Node. Usage: node.ts <directory> <cases> */
import { nodeSqlite } from '../../src/drivers/sqlite/node-sqlite.ts'
import { runSuite } from './run.ts'

await runSuite(process.argv[2]!, process.argv[3]!, {
  'node:sqlite': (path, clock) => () => nodeSqlite({ path, clock }),
})
