import { join } from 'node:path'
import Database from 'better-sqlite3'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { POWER_LOSS, PROCESS_DEATH, SYNCHRONOUS, type Subject } from './subject.ts'

const RUN_PART = `default!run!${RUN}`
const VALUES_PART = 'default!values'
/** As long as those of holdfast. */
const version = (n: number): string => `0123456789abcdef.${n.toString(36)}`

/** better-sqlite3 by hand: the schema of holdfast, prepared statements, each its own transaction. */
export const raw: Subject = {
  name: 'raw better-sqlite3',
  survives: { strict: POWER_LOSS, relaxed: PROCESS_DEATH },
  async open(directory, durability) {
    const db = new Database(join(directory, 'raw.db'))
    db.pragma('journal_mode = WAL')
    db.pragma(`synchronous = ${SYNCHRONOUS[durability]}`)
    db.exec(`CREATE TABLE holdfast_entries (
      part TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, expires_at INTEGER, value ANY NOT NULL,
      PRIMARY KEY (part, key)
    ) STRICT, WITHOUT ROWID`)
    const insert = db.prepare('INSERT INTO holdfast_entries VALUES (?, ?, ?, NULL, ?)')
    const upsert = db.prepare(`INSERT INTO holdfast_entries VALUES (?, ?, ?, NULL, ?)
      ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value`)
    const select = db.prepare('SELECT value FROM holdfast_entries WHERE part = ? AND key = ?').pluck()
    const selectAll = db.prepare('SELECT key, value FROM holdfast_entries WHERE part = ? ORDER BY key')
    return {
      append(n) {
        const key = `event!${String(n + 1).padStart(16, '0')}`
        insert.run(RUN_PART, key, version(n), JSON.stringify(eventOf(n)))
      },
      set(n) {
        upsert.run(VALUES_PART, nameOf(n), version(n), JSON.stringify(documentOf(n)))
      },
      get: (n) => JSON.parse(select.get(VALUES_PART, nameOf(n)) as string) as unknown,
      load() {
        const rows = selectAll.all(RUN_PART) as { key: string; value: string }[]
        return rows.map(({ key, value }) => ({ seq: Number(key.slice(-16)), ...(JSON.parse(value) as object) })).length
      },
      close: () => void db.close(),
    }
  },
}
