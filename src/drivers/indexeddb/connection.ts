/**
 * The connection to a database, for as long as the browser lets it live. It closes when another tab wants to upgrade or
 * delete the database, and browsers drop it without being asked; the next call opens another one.
 *
 * @module
 */
import { wrap } from 'idb'
import { HoldfastError } from '../../core/errors.ts'
import { type IdbConnection, type IdbFactory, type OpenRequest, type PromisedStore, defaultFactory } from './api.ts'
import { isLost, toHoldfastError } from './faults.ts'
import type { Row } from './rows.ts'

/** The only object store, its version, and the row that tells one database from a later one of the same name. */
export const STORE = 'entries'
const VERSION = 1
/** Sorts below every part. */
const EPOCH = '\n'
/** How often a call is begun again on another connection. */
const ATTEMPTS = 3

/** How to get at the database. */
export interface ConnectionOptions {
  readonly name: string
  readonly factory: IdbFactory | undefined
  /** How long to wait for other tabs that keep a connection, in milliseconds. */
  readonly openTimeout: number
  /** Makes the name of a database that did not exist. */
  readonly newEpoch: () => string
  /** Told of every connection, before it is used. */
  readonly onOpen: (epoch: string) => void
}

/** One try of some work: where it fails after this was set, what it wrote may be there. */
export interface Attempt {
  isWritten: boolean
}

/** A connection that is made when needed, and again when lost. */
export interface Connection {
  open(): Promise<void>
  /** Does work on it; what has changed nothing is done again when the connection turns out to be dead. */
  use<T>(work: (db: IdbConnection, attempt: Attempt) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function connection(options: ConnectionOptions): Connection {
  let opening: Promise<IdbConnection> | undefined
  let isWanted = false

  /** The request leaves before anything is waited for: of two tabs, none can slip in between. */
  function connected(): Promise<IdbConnection> {
    if (!isWanted) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
    if (opening) return opening
    const drop = (): void => {
      if (opening === mine) opening = undefined
    }
    const mine = connect(options, drop)
    opening = mine
    mine.catch(drop)
    return mine
  }

  async function use<T>(work: (db: IdbConnection, attempt: Attempt) => Promise<T>): Promise<T> {
    for (let left = ATTEMPTS; ;) {
      const attempt: Attempt = { isWritten: false }
      let current: Promise<IdbConnection> | undefined
      try {
        current = connected()
        return await work(await current, attempt)
      } catch (cause) {
        const isDead = isLost(cause)
        if (isDead && opening === current) opening = undefined
        // Where it is not gone after all, it must not stay open unseen.
        if (isDead)
          void current?.then(
            (db) => db.close(),
            () => {},
          )
        if (!isDead || attempt.isWritten || --left === 0) throw await toHoldfastError(cause, attempt.isWritten)
      }
    }
  }

  return {
    async open() {
      isWanted = true
      await use(async () => {})
    },
    use,
    async close() {
      isWanted = false
      const open = opening
      opening = undefined
      // Transactions under way come to their end.
      await open?.then(
        (db) => db.close(),
        () => {},
      )
    },
  }
}

/** @param onGone - called when the connection cannot be used any more */
async function connect(options: ConnectionOptions, onGone: () => void): Promise<IdbConnection> {
  const { name, factory = defaultFactory(), newEpoch, onOpen } = options
  const request = factory.open(name, VERSION) as OpenRequest
  request.addEventListener('upgradeneeded', () => {
    const store = request.result.createObjectStore(STORE, { keyPath: 'id' })
    // Holds the rows that expire and no others.
    store.createIndex('expiresAt', 'expiresAt')
    store.put({ id: EPOCH, version: newEpoch(), value: '' })
  })
  const db = await settled(request, options)
  const close = (): void => {
    db.close()
    onGone()
  }
  // Another tab upgrades or deletes the database, and waits until we let go.
  db.addEventListener('versionchange', close)
  db.addEventListener('close', onGone)
  try {
    const tx = db.transaction(STORE, 'readonly')
    const store = wrap(tx.objectStore(STORE) as never) as unknown as PromisedStore<Row>
    onOpen((await store.get(EPOCH))?.version ?? '')
    return db
  } catch (cause) {
    close()
    throw cause
  }
}

/** Waits for the request, but not for ever; a connection that comes later is let go of. */
function settled(request: OpenRequest, { openTimeout }: ConnectionOptions): Promise<IdbConnection> {
  return new Promise((resolve, reject) => {
    let hasFailed = false
    const fail = (cause: unknown): void => {
      clearTimeout(timer)
      hasFailed = true
      reject(cause)
    }
    const giveUp = (): void => {
      const message = 'Another tab keeps the database from being opened; close it or try again'
      fail(new HoldfastError('UNAVAILABLE', message, { retryable: true }))
    }
    const timer = setTimeout(giveUp, openTimeout)
    request.addEventListener('blocked', giveUp)
    request.addEventListener('error', () => fail(request.error))
    request.addEventListener('success', () => {
      clearTimeout(timer)
      if (hasFailed) request.result.close()
      else resolve(request.result)
    })
  })
}
