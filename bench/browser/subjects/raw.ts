/** IndexedDB by hand: objects as they are, under the keys of the peers. */
import { documentOf, nameOf } from '../../data.ts'
import type { Opened, Subject } from '../../subjects/subject.ts'
import { keyOf, recordOf } from '../data.ts'
import { type Connection, type Store, asked, connect, ended } from '../idb.ts'
import { BOTH } from './survives.ts'

const DOCUMENTS = 'documents'
const EVENTS = 'events'

type Put = (store: string, value: unknown, key?: string) => Promise<void>

const subject = (name: string, putter: (db: Connection, durability: string) => Put): Subject => ({
  name,
  survives: BOTH,
  async open(place, durability): Promise<Opened> {
    const db = await connect(place, { [DOCUMENTS]: false, [EVENTS]: false })
    const read = (store: string): Store => db.transaction(store, 'readonly').objectStore(store)
    const put = putter(db, durability)
    return {
      append: (n) => put(EVENTS, recordOf(n), keyOf(n)),
      set: (n) => put(DOCUMENTS, documentOf(n), nameOf(n)),
      get: (n) => asked(read(DOCUMENTS).get(nameOf(n))),
      load: async () => (await asked<unknown[]>(read(EVENTS).getAll())).length,
      close: () => db.close(),
    }
  },
})

/** Each call is a transaction. */
export const raw: Subject = subject('raw, a transaction each', (db, durability) => (store, value, key) => {
  const tx = db.transaction(store, 'readwrite', { durability })
  tx.objectStore(store).put(value, key)
  tx.commit()
  return ended(tx)
})

/** Puts that are called in the same turn share one transaction. */
export function together(db: Connection, durability: string): Put {
  let waiting: (readonly [value: unknown, key: string | undefined])[] = []
  let written: Promise<void> | undefined
  async function write(store: string): Promise<void> {
    // After all calls of this turn.
    await Promise.resolve()
    const rows = waiting
    waiting = []
    written = undefined
    const tx = db.transaction(store, 'readwrite', { durability })
    const entries = tx.objectStore(store)
    for (const [value, key] of rows) entries.put(value, key)
    tx.commit()
    await ended(tx)
  }
  return (store, value, key) => {
    waiting.push([value, key])
    return (written ??= write(store))
  }
}

export const rawTogether: Subject = subject('raw, one transaction', together)
