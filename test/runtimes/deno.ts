/** The suite in Deno, which has `node:sqlite` too. Usage: deno.ts <directory> <cases> [servers] */
import { nodeSqlite } from '../../src/drivers/sqlite/node-sqlite.ts'
import { runNetwork, runSuite } from './run.ts'

declare const Deno: { readonly args: readonly string[] }

await runSuite(Deno.args[0]!, Deno.args[1]!, { 'node:sqlite': (path, clock) => () => nodeSqlite({ path, clock }) })
await runNetwork(Deno.args[2])
