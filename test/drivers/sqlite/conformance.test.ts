/** The conformance suite over every SQLite engine that the Node at hand has. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type Sqlite from 'better-sqlite3'
import { describe, it } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import type { SqliteOptions } from '../../../src/drivers/sqlite/driver.ts'
import { nodeSqlite } from '../../../src/drivers/sqlite/node-sqlite.ts'
import { type Harness, conformance } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { prefix } from '../../../src/wrappers/prefix.ts'
import { betterSqlite3, hasNodeSqlite } from '../../support/parts.ts'
import { driverSlice, slice } from '../../support/slice.ts'

const { default: Database } = (await import(betterSqlite3)) as { default: typeof Sqlite }

/** What it opens besides is closed with the database. */
type Make = (path: string, options: SqliteOptions, handles: { close(): void }[]) => Driver

/** A handle of its own, so that either version of the package can be behind it. It stays open when the driver is closed. */
const overBetterSqlite3: Make = (path, options, handles) => {
  const db = new Database(path)
  handles.push(db)
  return sqlite({ db, ...options })
}

const overNodeSqlite: Make = (path, options) => nodeSqlite({ path, ...options })

const harness = (name: string, make: Make, options: SqliteOptions = {}): Harness => ({
  name,
  async create() {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
    const path = join(directory, 'test.db')
    let time = Date.UTC(2026, 0, 1)
    const handles: { close(): void }[] = []
    const open = (): Driver => make(path, { ...options, clock: () => time }, handles)
    return {
      driver: open(),
      reopen: async () => open(),
      advance: (ms) => void (time += ms),
      async dispose() {
        for (const handle of handles) handle.close()
        rmSync(directory, { recursive: true })
      },
      async dump() {
        const db = new Database(path, { readonly: true })
        try {
          return db.prepare('SELECT * FROM holdfast_entries ORDER BY part, key').all()
        } finally {
          db.close()
        }
      },
    }
  },
})

const engines: [string, Make][] = [
  [betterSqlite3 === 'better-sqlite3' ? 'better-sqlite3' : 'better-sqlite3 13', overBetterSqlite3],
]
if (hasNodeSqlite) engines.push(['node:sqlite', overNodeSqlite])

for (const [name, make] of engines) {
  conformance({ harness: harness(name, make), describe, it })
  register(driverSlice, {
    harness: harness(`${name} that recognises repeats`, make, { replayWindow: 60_000 }),
    describe,
    it,
  })
  register(slice, {
    harness: harness(`${name} under a prefix`, (...of) => prefix(make(...of), 'app 1')),
    describe,
    it,
  })
}
