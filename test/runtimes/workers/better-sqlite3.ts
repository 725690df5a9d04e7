/** A worker in the Node at hand. Usage: better-sqlite3.ts <order> */
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { beWorker } from './worker.ts'

await beWorker((path) => sqlite({ path }))
