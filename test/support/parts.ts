/**
 * What a suite may use of the machine. `describe.skipIf(!part('tmpfs'))` skips what cannot run; scripts/parts.ts has the
 * registry, and prints what was skipped.
 */
export { part } from '../../scripts/parts.ts'

/**
 * Where to import better-sqlite3 from: the installed package, or under Node 24 (where the suites of SQLite
 * run a second time there) version 13, as a file URL.
 */
export const betterSqlite3: string = process.env['HOLDFAST_BETTER_SQLITE3'] ?? 'better-sqlite3'

/** Whether this process knows `node:sqlite`. */
export const hasNodeSqlite: boolean = process.getBuiltinModule('node:sqlite') !== undefined
