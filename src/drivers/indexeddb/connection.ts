/**
 * The connection to a database, for as long as the browser lets it live. It closes when another tab wants to upgrade or
 * delete the database, and browsers drop it without being asked; the next call opens another one.
 *
 * @module
 */
import { HoldfastError } from '../../core/errors.ts'
import { type IdbConnection, type IdbFactory, type OpenRequest, defaultFactory } from './api.ts'
import { type Attempt, foreign, isLost, toHoldfastError } from './faults.ts'
import { type Opened, createStores, look } from './opened.ts'
import { ENTRIES } from './transactions.ts'

/** Of the stores; the first had only that of the entries. */
const VERSION = 2
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
  /** The database that is expected, if any. */
  readonly epoch: string | undefined
  /** Told of every connection, before it is used, and whether it is to another database than was expected or used before. */
  readonly onOpen: (epoch: string, isOther: boolean) => void
}

/** A connection that is made when needed, and again when lost. */
export interface Connection {
  open(): Promise<void>
  /** Does work on it; what has changed nothing is done again when the connection turns out to be dead. */
  use<T>(work: (opened: Opened, attempt: Attempt) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function connection(options: ConnectionOptions): Connection {
  let opening: Promise<Opened> | undefined
  let isWanted = false
  /** The database that was used last. */
  let { epoch } = options
  /** Whether any database will do: one is opened that nothing was read of yet. */
  let isNew = true
  /** Set when what was read or written is gone, until the driver is opened again. */
  let gone: HoldfastError | undefined

  /** The request leaves before anything is waited for: of two tabs, none can slip in between. */
  function connected(): Promise<Opened> {
    if (!isWanted) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
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

  /** Each connection is to one database, so it is enough to look when one is made. */
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
        // Where it is not gone after all, it must not stay open unseen.
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
      // What is gone was told once; who opens it again takes what there is.
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
      // Transactions under way come to their end.
      await open?.then(
        ({ db }) => db.close(),
        () => {},
      )
    },
  }
}

const evicted = (epoch: string): HoldfastError =>
  new HoldfastError('CLOSED', 'The browser has deleted the data of this database; open it again to begin with none', {
    details: { evicted: true, epoch },
  })

/** @param onGone - called when the connection cannot be used any more */
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
  // Another tab upgrades or deletes the database, and waits until we let go.
  db.addEventListener('versionchange', close)
  db.addEventListener('close', onGone)
  try {
    return await look(db)
  } catch (cause) {
    close()
    throw cause
  }
}

/** Waits for the request, but not for ever; a connection that comes later is let go of. */
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
      const message = 'Another tab keeps the database from being opened; close it or try again'
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
