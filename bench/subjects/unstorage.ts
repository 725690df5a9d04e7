import { join } from 'node:path'
import { createDatabase } from 'db0'
import sqlite from 'db0/connectors/better-sqlite3'
import { type Storage, createStorage } from 'unstorage'
import db0Driver from 'unstorage/drivers/db0'
import fsLite from 'unstorage/drivers/fs-lite'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { type Opened, POWER_LOSS, PROCESS_DEATH, SYNCHRONOUS, type Subject } from './subject.ts'

const keyOf = (n: number): string => `${RUN}:${String(n).padStart(16, '0')}`

const over = (storage: Storage, close: () => Promise<void>): Opened => ({
  append: (n) => storage.setItem(keyOf(n), eventOf(n)),
  set: (n) => storage.setItem(nameOf(n), documentOf(n)),
  get: (n) => storage.getItem(nameOf(n)),
  // Its keys are known here; a program that has to list them first pays for that too.
  load: async (events) => (await storage.getItems(Array.from({ length: events }, (_, n) => keyOf(n)))).length,
  close,
})

/** One file per key, written in place. */
export const unstorageFs: Subject = {
  name: 'unstorage fs-lite',
  // It never syncs, and a file that is cut off while it is written is torn.
  survives: { relaxed: 'process death, may tear' },
  async open(directory) {
    const storage = createStorage({ driver: fsLite({ base: directory }) })
    return over(storage, () => storage.dispose())
  },
}

export const unstorageDb0: Subject = {
  name: 'unstorage db0/better-sqlite3',
  survives: { strict: POWER_LOSS, relaxed: PROCESS_DEATH },
  async open(directory, durability) {
    const database = createDatabase(sqlite({ path: join(directory, 'unstorage.db') }))
    await database.exec('PRAGMA journal_mode = WAL')
    await database.exec(`PRAGMA synchronous = ${SYNCHRONOUS[durability]}`)
    // Its driver warns once that it is experimental.
    Reflect.set(globalThis, '__unstorage_db0_experimental_warning__', true)
    const storage = createStorage({ driver: db0Driver({ database }) })
    return over(storage, async () => {
      await storage.dispose()
      await database.dispose()
    })
  },
}
