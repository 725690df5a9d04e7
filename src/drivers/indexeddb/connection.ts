/**
 * The connection to a database, as long as the browser keeps it open. It closes when another tab wants to upgrade or
 * delete the database. Browsers may also drop it at any time. The next call opens a new one.
 *
 * @module
 */
import { HoldfastError } from '../../core/errors.ts'
import { type IdbConnection, type IdbFactory, type OpenRequest, defaultFactory } from './api.ts'
import { type Attempt, foreign, isLost, toHoldfastError } from './faults.ts'
import { type Opened, createStores, look } from './opened.ts'
import { ENTRIES } from './transactions.ts'
import { requireOpen } from '../shared/require-open.ts'

/** The version of the object stores; version 1 had only the store of entries. */
const VERSION = 2
/** How often a call is tried, each time on a new connection. */
const ATTEMPTS = 3

/** How to open the database. */
export interface ConnectionOptions {
  readonly name: string
  readonly factory: IdbFactory | undefined
  /** How long to wait for other tabs that keep a connection open, in milliseconds. */
  readonly openTimeout: number
  /** Makes the epoch of a new database. */
  readonly newEpoch: () => string
  /** The epoch of the expected database, if any. */
  readonly epoch: string | undefined
  /**
   * Called for every connection, before it is used. `isOther` is true if the database is not the one expected or used
   * before.
   */
  readonly onOpen: (epoch: string, isOther: boolean) => void
}

/** A connection that is made when needed, and again if lost. */
export interface Connection {
  open(): Promise<void>
  /**
   * Does work on it. If the connection turns out to be dead and nothing was written, the work is repeated on a new one.
   */
  use<T>(work: (opened: Opened, attempt: Attempt) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function connection(options: ConnectionOptions): Connection {
  let opening: Promise<Opened> | undefined
  let isWanted = false
  /** The epoch of the database used last. */
  let { epoch } = options
  /** Whether any database is acceptable, because nothing was read from one yet. */
  let isNew = true
  /** Set when the data read or written before was deleted, until the driver is opened again. */
  let gone: HoldfastError | undefined

  /** Makes the request before anything is awaited, so that no other tab can come between. */
  function connected(): Promise<Opened> {
    requireOpen(isWanted)
    if (gone) throw gone
    if (opening) return opening
    const drop = (): void => {
      if (opening === mine) opening = undefined
    }
    const mine = connect(options, drop).then(accepted)
    opening = mine
    mine.catch(drop)
    return mine
  }

  /** Compares the epochs. Once per connection is enough, because each connection is to one database. */
  function accepted(opened: Opened): Opened {
    const isOther = epoch !== undefined && epoch !== opened.epoch
    epoch = opened.epoch
    options.onOpen(epoch, isOther)
    if (isOther && !isNew) {
      opened.db.close()
      gone = evicted(epoch)
      throw gone
    }
    isNew = false
    return opened
  }

  async function use<T>(work: (opened: Opened, attempt: Attempt) => Promise<T>): Promise<T> {
    for (let left = ATTEMPTS; ;) {
      const attempt: Attempt = { isWritten: false, mayBeTorn: false }
      let current: Promise<Opened> | undefined
      try {
        current = connected()
        return await work(await current, attempt)
      } catch (cause) {
        const isDead = isLost(cause)
        if (isDead && opening === current) opening = undefined
        // If the connection is alive after all, it must be closed.
        if (isDead)
          void current?.then(
            ({ db }) => db.close(),
            () => {},
          )
        if (!isDead || attempt.isWritten || --left === 0) throw await toHoldfastError(cause, attempt)
      }
    }
  }

  return {
    async open() {
      // A deletion is reported once. Opening again accepts any database.
      isNew ||= !isWanted || gone !== undefined
      gone = undefined
      isWanted = true
      await use(async () => {})
    },
    use,
    async close() {
      isWanted = false
      const open = opening
      opening = undefined
      // Lets transactions under way finish.
      await open?.then(
        ({ db }) => db.close(),
        () => {},
      )
    },
  }
}

const evicted = (epoch: string): HoldfastError =>
  new HoldfastError('CLOSED', 'The browser has deleted the data of this database; open it again to start empty', {
    details: { evicted: true, epoch },
  })

/** @param onGone - called when the connection can no longer be used */
async function connect(options: ConnectionOptions, onGone: () => void): Promise<Opened> {
  const { name, factory = defaultFactory(), newEpoch } = options
  const request = factory.open(name, VERSION) as OpenRequest
  let isForeign = false
  request.addEventListener('upgradeneeded', ({ oldVersion }) => {
    const { result, transaction } = request
    isForeign = oldVersion > 0 && !result.objectStoreNames.contains(ENTRIES)
    if (isForeign) transaction.abort()
    else createStores(result, newEpoch)
  })
  const db = await settled(request, options, () => isForeign)
  const close = (): void => {
    db.close()
    onGone()
  }
  // Another tab upgrades or deletes the database and waits for this connection to close.
  db.addEventListener('versionchange', close)
  db.addEventListener('close', onGone)
  try {
    return await look(db)
  } catch (cause) {
    close()
    throw cause
  }
}

/** Waits for the request, for a limited time. A connection that comes later is closed. */
function settled(
  request: OpenRequest,
  { openTimeout }: ConnectionOptions,
  isForeign: () => boolean,
): Promise<IdbConnection> {
  return new Promise((resolve, reject) => {
    let hasFailed = false
    const fail = (cause: unknown): void => {
      clearTimeout(timer)
      hasFailed = true
      reject(cause)
    }
    const giveUp = (): void => {
      const message = 'Another tab blocks opening the database; close that tab or try again'
      fail(new HoldfastError('UNAVAILABLE', message, { retryable: true }))
    }
    const timer = setTimeout(giveUp, openTimeout)
    request.addEventListener('blocked', giveUp)
    request.addEventListener('error', () => fail(isForeign() ? foreign() : request.error))
    request.addEventListener('success', () => {
      clearTimeout(timer)
      if (hasFailed) request.result.close()
      else resolve(request.result)
    })
  })
}
