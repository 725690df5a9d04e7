import { join } from 'node:path'
import { KeyvSqlite } from '@keyv/sqlite'
import { Keyv } from 'keyv'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { POWER_LOSS, PROCESS_DEATH, SYNCHRONOUS, type Subject } from './subject.ts'

const keyOf = (n: number): string => `${RUN}:${String(n).padStart(16, '0')}`
/** `getMany` compares every key with every row, so few at once are faster. */
const MANY = 100

export const keyv: Subject = {
  name: 'Keyv @keyv/sqlite',
  survives: { strict: POWER_LOSS, relaxed: PROCESS_DEATH },
  async open(directory, durability) {
    const store = new KeyvSqlite({ uri: `sqlite://${join(directory, 'keyv.db')}` })
    await store.query('PRAGMA journal_mode = WAL')
    await store.query(`PRAGMA synchronous = ${SYNCHRONOUS[durability]}`)
    const keyv = new Keyv({ store })
    return {
      append: (n) => keyv.set(keyOf(n), eventOf(n)),
      set: (n) => keyv.set(nameOf(n), documentOf(n)),
      get: (n) => keyv.get(nameOf(n)),
      async load(events) {
        let found = 0
        for (let from = 0; from < events; from += MANY) {
          const keys = Array.from({ length: Math.min(MANY, events - from) }, (_, i) => keyOf(from + i))
          for (const event of await keyv.getMany(keys)) if (event !== undefined) found++
        }
        return found
      },
      close: () => keyv.disconnect(),
    }
  },
}
