/** An opened database, and what a driver remembers of it. @module */
import type { IdbConnection } from './api.ts'
import { type Facts, lastCommit, noFacts } from './facts.ts'
import type { Row } from './rows.ts'
import { COMMITS, ENTRIES, VALUES, begin, tearsApart } from './transactions.ts'

/** The row that distinguishes a database from a later one of the same name. It sorts below every part. */
const EPOCH = '\n'

/** When the last number of a commit was read, so that earlier numbers can be deleted some time later. */
export interface Mark {
  readonly n: 'mark'
  /** The last number then. */
  readonly upTo: number
  /** The time, in milliseconds since 1970. */
  readonly at: number
}

/** A connection, and the facts that belong to it. */
export interface Opened {
  readonly db: IdbConnection
  /** Identifies this database, unlike a later one of the same name. */
  readonly epoch: string
  readonly facts: Facts
  /** Whether one request can read a page in reverse. */
  readonly canReverse: boolean
  mark: Mark | undefined
  /** See `tearsApart` in `transactions.ts`. */
  tearsApart(): Promise<boolean>
}

/** Creates the stores in an empty database, or in one of the first release. */
export function createStores(db: IdbConnection, newEpoch: () => string): void {
  if (!db.objectStoreNames.contains(ENTRIES)) {
    const entries = db.createObjectStore(ENTRIES, { keyPath: 'id' })
    // Only rows that expire are in this index.
    entries.createIndex('expiresAt', 'expiresAt')
    entries.put({ id: EPOCH, version: newEpoch(), value: '' })
  }
  db.createObjectStore(VALUES, { keyPath: 'id' })
  db.createObjectStore(COMMITS, { keyPath: 'n', autoIncrement: true })
}

/** Reads the epoch and the abilities of an opened database. */
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
