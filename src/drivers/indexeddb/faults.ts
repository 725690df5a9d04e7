/** Maps errors of browsers. @module */
import { type ErrorCode, HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { storageManager } from './api.ts'

/**
 * Names of errors that may mean the end of a connection. Their messages differ between browsers and releases. Some are
 * "The database connection is closing", "Internal error opening backing store" (Chromium), "Connection to Indexed
 * Database server lost" (WebKit) and "A mutation operation was attempted on a database that did not allow mutations"
 * (Firefox). An abort that we did not request and that has no cause counts as well.
 */
const LOST = ['InvalidStateError', 'AbortError', 'UnknownError', 'TransactionInactiveError']

/** One try of some work. */
export interface Attempt {
  /** Set when writes are handed over. If the work fails after that, they may have taken effect. */
  isWritten: boolean
  /** Set if only some of the writes may have taken effect. */
  mayBeTorn: boolean
}

/** Whether the connection may be lost, so that a new one can help. An abort without a cause leaves `null`. */
export const isLost = (cause: unknown): boolean => cause === null || LOST.includes(nameOf(cause))

const nameOf = (cause: unknown): string => String((Object(cause) as { name?: unknown }).name)

type Fault = readonly [code: ErrorCode, message: string, isRetryable?: boolean]

const FOREIGN: Fault = ['SCHEMA', 'The database was not made by holdfast; check its name']

const FULL: Fault = [
  'QUOTA_EXCEEDED',
  'The storage of this origin is full, and the request was refused; free some space and try again',
]

const BY_NAME: Readonly<Record<string, Fault>> = {
  QuotaExceededError: FULL,
  VersionError: ['SCHEMA', 'The database is of a newer release; reload the page to update it'],
  NotFoundError: FOREIGN,
  SecurityError: ['UNSUPPORTED', 'IndexedDB is blocked here; use memory() to go without'],
  NotReadableError: ['BACKEND', 'A stored value cannot be read any more'],
}

/**
 * Maps an error of the browser.
 *
 * @param cause - preferably the transaction's error: its requests may only say that they were aborted
 * @param attempt - whether the writes had been handed over, so that a lost connection leaves their outcome unknown, and
 *   whether some may have been kept although others failed
 */
export async function toHoldfastError(
  cause: unknown,
  { isWritten, mayBeTorn }: Readonly<Attempt>,
): Promise<HoldfastError> {
  if (isHoldfastError(cause)) return cause
  if (isLost(cause)) {
    return new HoldfastError('UNAVAILABLE', 'The connection to the database was lost; try again', {
      cause,
      retryable: true,
      ambiguous: isWritten,
    })
  }
  const [code, message, retryable = false]: Fault = BY_NAME[nameOf(cause)] ?? [
    'BACKEND',
    'IndexedDB failed; see the cause',
  ]
  const details = code === 'QUOTA_EXCEEDED' ? await estimate() : undefined
  return new HoldfastError(code, message, { cause, retryable, details, ambiguous: isWritten && mayBeTorn })
}

/** Makes a `QUOTA_EXCEEDED` error for a write that was not tried. */
export const full = (details: object): HoldfastError => new HoldfastError(FULL[0], FULL[1], { details: { ...details } })

/** Makes a `SCHEMA` error: the database of this name was made by something else. */
export const foreign = (): HoldfastError => new HoldfastError(FOREIGN[0], FOREIGN[1])

/** How much of the storage is used, in bytes; `undefined` if the browser does not say. */
export async function estimate(): Promise<{ usage?: number | undefined; quota?: number | undefined } | undefined> {
  try {
    const found = await storageManager().estimate?.()
    return found && { usage: found.usage, quota: found.quota }
  } catch {
    return undefined
  }
}
