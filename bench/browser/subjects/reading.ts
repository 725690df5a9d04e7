/** Ways to read a log with its keys past any library, to know which one is the fastest in this browser. */
import type { Opened, Subject } from '../../subjects/subject.ts'
import { keyOf, recordOf } from '../data.ts'
import { type Store, above, asked, connect } from '../idb.ts'
import { together } from './raw.ts'
import { RELAXED } from './survives.ts'

const EVENTS = 'events'
const PAGE = 500

type Row = { readonly id: string; readonly value: unknown }

interface Way {
  readonly name: string
  /** Whether rows hold their key. */
  readonly isInLine: boolean
  /** Whether values are JSON text. */
  readonly isText: boolean
  read(store: Store): Promise<readonly Row[]>
}

const all = (store: Store): Promise<readonly Row[]> => asked(store.getAll())

async function pages(store: Store): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (let from = ''; ;) {
    const page = await asked<Row[]>(store.getAll(above(from), PAGE))
    rows.push(...page)
    if (page.length < PAGE) return rows
    from = page.at(-1)!.id
  }
}

async function pairs(store: Store): Promise<readonly Row[]> {
  const [keys, values] = await Promise.all([asked<string[]>(store.getAllKeys()), asked<unknown[]>(store.getAll())])
  return keys.map((id, i) => ({ id, value: values[i] }))
}

async function records(store: Store): Promise<readonly Row[]> {
  const found = await asked<{ key: string; value: unknown }[]>(store.getAllRecords())
  return found.map(({ key, value }) => ({ id: key, value }))
}

const WAYS: readonly Way[] = [
  { name: 'raw getAll, text', isInLine: true, isText: true, read: all },
  { name: `raw getAll, text, pages of ${PAGE}`, isInLine: true, isText: true, read: pages },
  { name: 'raw getAll, objects', isInLine: true, isText: false, read: all },
  { name: 'raw getAll and getAllKeys, text', isInLine: false, isText: true, read: pairs },
  { name: 'raw getAllRecords, text', isInLine: false, isText: true, read: records },
]

const never = (): never => {
  throw new Error('Only reads logs')
}

export const ways: readonly Subject[] = WAYS.map(({ name, isInLine, isText, read }) => ({
  name,
  survives: RELAXED,
  async open(place): Promise<Opened> {
    const db = await connect(place, { [EVENTS]: isInLine })
    const put = together(db, 'relaxed')
    return {
      append(n) {
        const value = isText ? JSON.stringify(recordOf(n)) : recordOf(n)
        return isInLine ? put(EVENTS, { id: keyOf(n), value }) : put(EVENTS, value, keyOf(n))
      },
      set: never,
      get: never,
      async load() {
        const rows = await read(db.transaction(EVENTS, 'readonly').objectStore(EVENTS))
        return rows.map(({ id, value }) => ({
          seq: Number(id.slice(-16)),
          ...((isText ? JSON.parse(value as string) : value) as object),
        })).length
      },
      close: () => db.close(),
    }
  },
}))
