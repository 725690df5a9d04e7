/** Lists of parts in one request share the room of its answer. */
import { createStorage } from 'unstorage'
import { expect, it } from 'vitest'
import type { Driver, PartPage } from '../../../src/core/driver.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { unstorage } from '../../../src/drivers/unstorage/driver.ts'
import { installFake, newFactory } from '../indexeddb/support.ts'

installFake()

const DRIVERS: readonly Driver[] = [
  memory(),
  sqlite({ path: ':memory:' }),
  unstorage({ storage: createStorage(), singleWriter: true, durability: 'none' }),
  indexedDb({ name: 'parts', indexedDB: newFactory() }),
]
const PARTS = 400
const LISTS = 20
const ALL = { start: ' ', end: '~' }

it.each(DRIVERS)('$name bounds many lists of parts together, and each holds one part at least', async (driver) => {
  await driver.open()
  const names = Array.from({ length: PARTS }, (_, i) => 'n'.repeat(3000) + String(i).padStart(4, '0'))
  const commits = names.map((part, i) => ({
    id: `c${i}`,
    checks: [],
    ops: [{ put: { part, key: 'k' }, value: 'v' }],
    durability: 'relaxed' as const,
  }))
  await driver.commit({ id: 'r', commits })
  const list = { parts: { ...ALL, limit: PARTS } }
  const { answers } = await driver.read(Array.from({ length: LISTS }, () => list))
  const pages = answers as readonly PartPage[]
  const further = pages.flatMap(({ parts }) => parts.slice(1))
  expect(further.join('').length).toBeLessThanOrEqual(driver.capabilities.limits.answerBytes)
  for (const { parts, more } of pages) {
    expect(parts).toEqual(names.slice(0, Math.max(1, parts.length)))
    expect(more).toBe(parts.length < PARTS)
  }
  await driver.close()
})
