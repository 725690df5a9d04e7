/** The stores of a database, and its transactions. @module */
import { wrap } from 'idb'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import type { IdbConnection, IdbStore, IdbTransaction, PromisedStore } from './api.ts'

/** Entries, as rows; see `rows.ts`. */
export const ENTRIES = 'entries'
/** The long values of entries. */
export const VALUES = 'values'
/** The numbers of commits; see `facts.ts`. */
export const COMMITS = 'commits'

/** A request that failed. */
interface Failure {
  readonly request: unknown
  readonly error: unknown
}

/** A transaction under way. */
export interface Running {
  readonly tx: IdbTransaction
  /** A store whose requests nobody awaits. */
  store(name: string): IdbStore
  /** A store whose requests are promises. */
  ask<Row>(name: string): PromisedStore<Row>
  /** Waits for work in the transaction. @throws the transaction's error, or that of the work */
  settled<T>(work: Promise<T>): Promise<T>
  /** Waits for the work and for the end of the transaction. */
  ended<T>(work: Promise<T>): Promise<T>
  /** Whether this request failed because its key exists. */
  isTaken(request: unknown): boolean
}

/** Begins a transaction. */
export function begin(
  db: IdbConnection,
  stores: readonly string[],
  mode: 'readonly' | 'readwrite',
  durability: 'strict' | 'relaxed' | 'default' = 'default',
): Running {
  const tx = db.transaction(stores, mode, { durability })
  let failure: Failure | undefined
  // After the first failure, all other requests only report the abort. This event has more detail than `tx.error` once
  // `commit()` was called.
  tx.addEventListener('error', ({ target }) => {
    const { error } = target as { error: { name?: string } | null }
    if (error?.name !== 'AbortError') failure ??= { request: target, error }
  })
  const end = new Promise<void>((resolve, reject) => {
    tx.addEventListener('complete', () => {
      if (failure) reject(torn(failure.error))
      else resolve()
    })
    tx.addEventListener('abort', () => reject(failure?.error ?? tx.error))
  })
  // The work may fail first, and `end` must not be an unhandled rejection.
  end.catch(() => {})

  async function settled<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      try {
        tx.abort()
      } catch {
        // The transaction is over already, or about to be.
      }
      await end.catch(() => {})
      throw failure?.error ?? tx.error ?? cause
    }
  }

  return {
    tx,
    store: (name) => tx.objectStore(name),
    ask: <Row>(name: string) => wrap(tx.objectStore(name) as never) as unknown as PromisedStore<Row>,
    settled,
    async ended(work) {
      const result = await settled(work)
      await end
      return result
    },
    isTaken: (request) =>
      failure?.request === request && (failure?.error as { name?: string } | null)?.name === 'ConstraintError',
  }
}

/**
 * Whether this browser completes a transaction although a request in it failed after `commit()` was called. Firefox
 * does, unless it was the last request. In such a browser, no transaction may contain requests that can fail in the
 * middle.
 */
export async function tearsApart(db: IdbConnection): Promise<boolean> {
  const { tx, store, ended } = begin(db, [COMMITS], 'readwrite', 'relaxed')
  const probe = { n: 'probe' }
  store(COMMITS).put(probe)
  store(COMMITS).add(probe)
  store(COMMITS).delete(probe.n)
  tx.commit()
  try {
    await ended(Promise.resolve())
  } catch (cause) {
    return isHoldfastError(cause)
  }
  // The failure was not even reported.
  return true
}

const torn = (cause: unknown): HoldfastError =>
  new HoldfastError('BACKEND', 'The browser has kept only some of the changes; see the cause', {
    cause,
    ambiguous: true,
  })
