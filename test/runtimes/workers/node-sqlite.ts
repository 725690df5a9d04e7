/** A worker in a newer Node or in Deno, which have `node:sqlite`. Usage: node-sqlite.ts <order> */
import { nodeSqlite } from '../../../src/drivers/sqlite/node-sqlite.ts'
import { beWorker } from './worker.ts'

await beWorker((path) => nodeSqlite({ path }))
