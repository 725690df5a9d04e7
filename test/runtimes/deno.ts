/** The suite in Deno, which has `node:sqlite` too. Usage: deno.ts <directory> */
import { nodeSqlite } from '../../src/drivers/sqlite/node-sqlite.ts'
import { runSuite } from './run.ts'

declare const Deno: { readonly args: readonly string[] }

await runSuite(Deno.args[0]!, { 'node:sqlite': (path, clock) => () => nodeSqlite({ path, clock }) })
