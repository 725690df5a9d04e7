/** A database that was opened, and what a driver remembers of it. @module */
import type { IdbConnection } from './api.ts'
import { type Facts, lastCommit, noFacts } from './facts.ts'
import type { Row } from './rows.ts'
import { COMMITS, ENTRIES, VALUES, begin, tearsApart } from './transactions.ts'

/** The row that tells one database from a later one of the same name. Sorts below every part. */
const EPOCH = '\n'

/** When the number of the last commit was looked at, so that those before can be taken away some time later. */
export interface Mark {
  readonly n: 'mark'
  /** The number of the last commit then. */
  readonly upTo: number
  /** In milliseconds since 1970. */
  readonly at: number
}

/** A connection, and what belongs to it. */
export interface Opened {
  readonly db: IdbConnection
  /** Names this database, and no later one of the same name. */
  readonly epoch: string
  readonly facts: Facts
  /** Whether pages can be read from their end by one request. */
  readonly canReverse: boolean
  mark: Mark | undefined
  /** See the function of this name. */
  tearsApart(): Promise<boolean>
}

/** Makes the stores of a database that has none of them, or only that of the first release. */
export function createStores(db: IdbConnection, newEpoch: () => string): void {
  if (!db.objectStoreNames.contains(ENTRIES)) {
    const entries = db.createObjectStore(ENTRIES, { keyPath: 'id' })
    // Holds the rows that expire and no others.
    entries.createIndex('expiresAt', 'expiresAt')
    entries.put({ id: EPOCH, version: newEpoch(), value: '' })
  }
  db.createObjectStore(VALUES, { keyPath: 'id' })
  db.createObjectStore(COMMITS, { keyPath: 'n', autoIncrement: true })
}

/** Looks into a database. */
export async function look(db: IdbConnection): Promise<Opened> {
  const { tx, store, ask, settled } = begin(db, [ENTRIES, VALUES, COMMITS], 'readonly')
  const canReverse = 'getAllRecords' in store(ENTRIES)
  const asked = Promise.all([
    ask<Row>(ENTRIES).get(EPOCH),
    ask(VALUES).openKeyCursor(null, 'next'),
    ask<Mark>(COMMITS).get('mark'),
    lastCommit(ask(COMMITS)),
  ])
  tx.commit()
  const [row, longValue, mark, generation] = await settled(asked)
  const facts = noFacts()
  facts.generation = generation
  facts.hasLong = longValue !== null
  let tears: Promise<boolean> | undefined
  return { db, epoch: row?.version ?? '', facts, canReverse, mark, tearsApart: () => (tears ??= tearsApart(db)) }
}
