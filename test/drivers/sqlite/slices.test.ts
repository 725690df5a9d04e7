/** Long reads let the event loop turn, and are of one moment all the same. */
import { describe, expect, test } from 'vitest'
import type { Answer, Driver, Entry, EntryPage, Read } from '../../../src/core/driver.ts'
import { sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { type FileEngine, PART, codeOf, database, engine, engines, file, opened, put, request } from './support.ts'

const COUNT = 300
const SIZE = 150_000
const keys = Array.from({ length: COUNT }, (_, i) => `k${i + 1000}`)

const gets: Read[] = keys.map((key) => ({ get: { part: PART, key } }))

async function fill(driver: Driver, char: string): Promise<void> {
  for (let i = 0; i < COUNT; i += 100) {
    const ops = keys.slice(i, i + 100).map((key) => put(key, char.repeat(SIZE)))
    await driver.commit(request(ops, { durability: 'relaxed' }))
  }
}

/** Does something in every turn of the event loop, until it is stopped; tells how many there were. */
function everyTurn(work: (n: number) => void): () => number {
  let turns = 0
  let next = setImmediate(function turn() {
    work(++turns)
    next = setImmediate(turn)
  })
  return () => (clearImmediate(next), turns)
}

const valuesOf = (answers: readonly Answer[]): Set<unknown> =>
  new Set((answers as (Entry | null)[]).map((entry) => String(entry?.value).slice(0, 1)))

/** A driver with much to read. */
async function filled({ make }: FileEngine): Promise<{ path: string; driver: Driver }> {
  const path = file()
  const driver = await opened(await make(path))
  await fill(driver, 'a')
  return { path, driver }
}

describe.each(engines)('a long read through $name', (it) => {
  test('lets the event loop turn', async () => {
    const { driver } = await filled(it)
    const stop = everyTurn(() => {})
    const { answers } = await driver.read(gets)
    expect(stop()).toBeGreaterThan(1)
    expect(valuesOf(answers)).toEqual(new Set(['a']))
    expect(answers).toHaveLength(COUNT)
  })

  test('is of one moment where another connection writes in between, once and without end', async () => {
    const { path, driver } = await filled(it)
    const other = database(path)
    const flip = other.prepare(`UPDATE holdfast_long_values SET value = ? || substr(value, 2)`)
    const marks = 'bcdefghijklmnopqrstuvwxyz'
    for (const most of [1, Infinity]) {
      let written = 0
      const stop = everyTurn(() => {
        if (written < most) flip.run(marks[written++ % marks.length])
      })
      const { answers } = await driver.read(gets)
      expect(stop()).toBeGreaterThan(1)
      expect(written).toBeGreaterThan(0)
      expect(valuesOf(answers).size).toBe(1)
    }
  })

  test('is of one moment where its own connection writes in between', async () => {
    const { driver } = await filled(it)
    let write: Promise<unknown> | undefined
    const stop = everyTurn(() => {
      write ??= driver.commit(request([{ deletePart: PART }], { durability: 'relaxed' }))
    })
    const { answers } = await driver.read(gets)
    stop()
    await write
    expect(valuesOf(answers).size).toBe(1)
  })

  test('fails where the driver is closed in between', async () => {
    const { driver } = await filled(it)
    const reading = codeOf(driver.read(gets))
    setImmediate(() => void driver.close())
    expect(await reading).toBe('CLOSED')
  })
})

test('a page of several statements is of one moment', async () => {
  const db = database()
  const other = database(db.name)
  let pages = 0
  const driver = await opened(
    sqliteDriver(
      engine(db, (sql) => {
        // The first is alone, and not enough: it is asked again in a transaction.
        if (sql.startsWith('SELECT key, version') && ++pages === 3) other.exec('DELETE FROM holdfast_keys')
      }),
    ),
  )
  await driver.commit(request(Array.from({ length: 2500 }, (_, i) => put(`k${i + 10_000}`, 'a'))))
  const range: Read = { range: { part: PART, start: 'k', end: 'l', limit: 2500 } }
  const { answers } = await driver.read([range])
  expect(pages).toBeGreaterThan(3)
  // None where it was begun anew, since the machine had other things to do.
  expect([0, 2500]).toContain((answers[0] as EntryPage).entries.length)
  expect((await driver.read([range])).answers).toEqual([{ entries: [], more: false }])
})
