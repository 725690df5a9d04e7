/** A worker in Bun. Usage: bun-sqlite.ts <order> */
import { bunSqlite } from '../../../src/drivers/sqlite/bun-sqlite.ts'
import { beWorker } from './worker.ts'

await beWorker((path) => bunSqlite({ path }))
