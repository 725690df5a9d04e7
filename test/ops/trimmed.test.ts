/** Logs that were trimmed, and pages that are cut by their bytes: operations carry and judge both as they are. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import type { CommitRequest, Driver } from '../../src/core/driver.ts'
import { tenantParts } from '../../src/core/keys.ts'
import { entryBytes, roomFor } from '../../src/core/limits.ts'
import { memory } from '../../src/drivers/memory.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { backup, copy, purge, restore, stats, verify } from '../../src/ops/index.ts'
import { compress } from '../../src/wrappers/compress.ts'
import { encrypt } from '../../src/wrappers/encrypt.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { ODD, contentOf, manyRuns, seed } from './seed.ts'

const RUN = tenantParts().run(ODD)
const KEYS = { keys: { k: new Uint8Array(32).fill(3) }, current: 'k' }

/** One log is trimmed to its end, two are not. */
async function trimmed(driver: Driver): Promise<Holdfast> {
  const holdfast = await seed(driver)
  await holdfast.persistence.append({ runId: ODD, workflow: 'order', kind: 'third' })
  const trim = (key: string, through: number) => ({ trim: { part: RUN, key }, through })
  const { ok } = await holdfast.db.commit({
    ops: [trim('event!', 2), trim('intervention!', 1), trim('message!news!', 2)],
  })
  expect(ok).toBe(true)
  return holdfast
}

/** It goes on where it ended, whatever is left of it. */
async function expectToGoOn({ persistence, signals, db }: Holdfast): Promise<void> {
  expect(await verify(db)).toMatchObject({ problems: 0 })
  expect(await persistence.getLatestSeq(ODD)).toBe(3)
  expect(await persistence.append({ runId: ODD, workflow: 'order', kind: 'fourth' })).toMatchObject({ seq: 4 })
  await signals.sendMessage(ODD, 'news', 'three')
  const [message] = await db.read([{ get: { part: RUN, key: `message!news!${'3'.padStart(16, '0')}` } }])
  expect(message).not.toBeNull()
  expect(await verify(db)).toMatchObject({ problems: 0 })
}

describe('a trimmed log', () => {
  const plain = (driver: Driver): Driver => driver
  const wrapped: Record<string, (driver: Driver) => Driver> = {
    plain,
    encrypted: (driver) => encrypt(driver, KEYS),
    'compressed and encrypted': (driver) => compress(encrypt(driver, KEYS), { threshold: 64 }),
  }
  for (const from of engines) {
    for (const to of engines) {
      for (const [name, wrap] of Object.entries(from === to ? { plain } : wrapped)) {
        it(`is carried from ${from.name} to ${to.name}, ${name}`, () =>
          withDirectory(async (directory) => {
            const source = await trimmed(wrap(await from.make(join(directory, 'from.db'))))
            const content = await contentOf(source.db)
            const chunks: string[] = []
            for await (const chunk of backup(source.db)) chunks.push(chunk)
            const restored = createHoldfast({ driver: wrap(await to.make(join(directory, 'restored.db'))) })
            expect(await restore(restored.db, () => chunks)).toMatchObject({ written: content.length })
            const copied = createHoldfast({ driver: wrap(await to.make(join(directory, 'copied.db'))) })
            expect(await copy(source.db, copied.db)).toMatchObject({ differing: 0 })
            for (const target of [restored, copied]) {
              expect(await contentOf(target.db)).toEqual(content)
              await expectToGoOn(target)
              await target.close()
            }
            await source.close()
          }))
      }
    }
  }

  it('is replaced by another one, and replaces it', async () => {
    const [short, long] = [await trimmed(memory()), await seed(memory())]
    const before = await contentOf(long.db)
    const kept = createHoldfast({ driver: memory() })
    await copy(long.db, kept.db)
    expect(await copy(short.db, long.db, { overwrite: true })).toMatchObject({ differing: 0 })
    expect(await copy(kept.db, short.db, { overwrite: true })).toMatchObject({ differing: 0 })
    expect(await contentOf(short.db)).toEqual(before)
    await expectToGoOn(long)
  })

  it('is counted by what is left of it', async () => {
    const events = async ({ db }: Holdfast): Promise<unknown> => (await stats(db)).tenants['default']?.events
    const [short, long] = [await trimmed(memory()), await seed(memory())]
    expect([await events(long), await events(short)]).toEqual([7, 6])
  })

  it('is known to verify, and so is what is wrong with one', async () => {
    const number = (n: number): string => String(n).padStart(16, '0')
    const kindsAfter = async (key: string, value: string): Promise<unknown> => {
      const { db } = await trimmed(memory())
      await db.commit({ ops: [{ put: { part: RUN, key }, value }] })
      return (await verify(db)).first.map(({ kind }) => kind)
    }
    expect(await kindsAfter(`event!${number(0)}`, '2')).toEqual([])
    expect(await kindsAfter(`event!${number(0)}`, '1')).toEqual(['gap'])
    expect(await kindsAfter(`event!${number(0)}`, '3')).toEqual(['gap'])
    expect(await kindsAfter(`event!${number(0)}`, 'x')).toEqual(['unreadable', 'gap'])
    expect(await kindsAfter(`event!${number(2)}`, '{}')).toEqual(['gap'])
    expect(await kindsAfter(`idempotency!x`, '3')).toEqual([])
    expect(await kindsAfter(`idempotency!x`, '4')).toEqual(['mismatch'])
  })
})

/** Pages hold so many bytes altogether, as the contract lets a driver. */
function narrow(driver: Driver, answerBytes: number): Driver {
  const { capabilities } = driver
  return {
    ...driver,
    capabilities: { ...capabilities, limits: { ...capabilities.limits, answerBytes } },
    async read(reads, options) {
      const { now, answers } = await driver.read(reads, options)
      const room = roomFor(answerBytes)
      const cut = answers.map((answer) => {
        if (answer === null || !('entries' in answer)) return answer
        const over = answer.entries.findIndex((entry, i) => !room.takes(entryBytes(entry), i === 0))
        return over < 0 ? answer : { entries: answer.entries.slice(0, over), more: true }
      })
      return { now, answers: cut }
    },
  }
}

describe('where pages are cut by their bytes', () => {
  for (const bytes of [1, 300, 2000]) {
    it(`to ${bytes}, operations miss nothing`, async () => {
      const make = (): Driver => narrow(memory(), bytes)
      const source = await trimmed(make())
      const chunks: string[] = []
      for await (const chunk of backup(source.db)) chunks.push(chunk)
      const open = createHoldfast({ driver: memory() })
      const restored = createDatabase({ driver: make() })
      expect(await restore(restored, () => chunks)).toMatchObject({ consistent: true })
      await restore(open.db, () => chunks)
      expect(await copy(restored, createDatabase({ driver: make() }))).toMatchObject({ differing: 0 })
      expect(await copy(open.db, restored)).toMatchObject({ written: 0, differing: 0 })
      expect(await stats(restored, { sizes: true })).toEqual(await stats(open.db, { sizes: true }))
      expect(await verify(restored)).toEqual(await verify(open.db))
    })

    it(`to ${bytes}, purge keeps as many as ever`, async () => {
      const holdfast = createHoldfast({ driver: narrow(memory(), bytes) })
      await manyRuns(holdfast, 30, (i) => ({ runId: `r${i}`, ends: i % 3 > 0 }))
      expect(await purge(holdfast.db, { keepLast: 7 })).toMatchObject({ runs: 13 })
      expect((await stats(holdfast.db)).tenants['default']?.runs).toMatchObject({ completed: 7 })
    })
  }
})

describe('a restore that is repeated', () => {
  function listening(driver: Driver): { readonly driver: Driver; readonly ids: string[] } {
    const ids: string[] = []
    const commit: Driver['commit'] = (request: CommitRequest, options) => {
      ids.push(request.id)
      return driver.commit(request, options)
    }
    return { ids, driver: { ...driver, commit } }
  }

  it('asks under new ids each time, though the commits have those of the entries', async () => {
    const source = await trimmed(memory())
    const chunks: string[] = []
    for await (const chunk of backup(source.db)) chunks.push(chunk)
    const { driver, ids } = listening(memory())
    for (let n = 0; n < 3; n++) {
      const { db } = createHoldfast({ driver })
      await restore(db, () => chunks, { overwrite: true, batch: 10 })
      await db.commit({ ops: [{ deletePart: RUN }] })
    }
    expect(ids.length).toBeGreaterThan(5)
    expect(new Set(ids).size).toBe(ids.length)
  })
})
