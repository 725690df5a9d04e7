/** Another process at a file: `append <path> <count>` opens it and appends, `lock <path>` holds the write lock. */
import type BetterSqlite3 from 'better-sqlite3'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { betterSqlite3 } from '../../support/parts.ts'

const [command, path, count] = process.argv.slice(2)
const { default: Sqlite } = (await import(betterSqlite3)) as { default: typeof BetterSqlite3 }

const told = new Promise((resolve) => process.stdin.once('end', resolve).resume())

if (command === 'append') {
  process.stdout.write('ready\n')
  await told
  const driver = sqlite({ db: new Sqlite(path) })
  await driver.open()
  for (let i = 0; i < Number(count); i++) {
    const id = `${process.pid}.${i}`
    const op = { append: { part: 'default!run!r1', key: 'event!' }, value: id }
    await driver.commit({ id, commits: [{ id, checks: [], ops: [op], durability: 'relaxed' }] })
  }
} else {
  const db = new Sqlite(path)
  db.exec('BEGIN IMMEDIATE')
  process.stdout.write('ready\n')
  await told
  db.exec('ROLLBACK')
  db.close()
}
