/** What browsers throw, as errors of ours. @module */
import { type ErrorCode, HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { storageManager } from './api.ts'

/**
 * How the end of a connection is told, by name: the words differ between browsers and releases. Some of them are
 * "The database connection is closing", "Internal error opening backing store" (Chromium), "Connection to Indexed
 * Database server lost" (WebKit), "A mutation operation was attempted on a database that did not allow mutations"
 * (Firefox). An abort that we did not ask for, and that has no cause, is one as well.
 */
const LOST = ['InvalidStateError', 'AbortError', 'UnknownError', 'TransactionInactiveError']

/** One try of some work. */
export interface Attempt {
  /** Set when writes are handed over: where it fails after this, they may be there. */
  isWritten: boolean
  /** Set where, besides, only some of them may be there. */
  mayBeTorn: boolean
}

/** Whether the connection may be gone, so that another one can help. `null` is what an abort without cause leaves. */
export const isLost = (cause: unknown): boolean => cause === null || LOST.includes(nameOf(cause))

const nameOf = (cause: unknown): string => String((Object(cause) as { name?: unknown }).name)

type Fault = readonly [code: ErrorCode, message: string, isRetryable?: boolean]

const FOREIGN: Fault = ['SCHEMA', 'The database is not one of holdfast; check its name']

const FULL: Fault = [
  'QUOTA_EXCEEDED',
  'The storage of this origin is full, and the request was refused; make room and try again',
]

const BY_NAME: Readonly<Record<string, Fault>> = {
  QuotaExceededError: FULL,
  VersionError: ['SCHEMA', 'The database is of a newer release; update this one, by loading the page anew'],
  NotFoundError: FOREIGN,
  SecurityError: ['UNSUPPORTED', 'IndexedDB is blocked here; use memory() to go without'],
  NotReadableError: ['BACKEND', 'A stored value cannot be read any more'],
}

/**
 * Maps what a browser throws.
 *
 * @param cause - preferably of the transaction: its requests only tell that it was aborted
 * @param attempt - whether the writes had been handed over, so that with the connection their fate is lost, and whether
 *   some of them may have been kept although the others failed
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
    'IndexedDB failed; the cause tells why',
  ]
  const details = code === 'QUOTA_EXCEEDED' ? await estimate() : undefined
  return new HoldfastError(code, message, { cause, retryable, details, ambiguous: isWritten && mayBeTorn })
}

/** `QUOTA_EXCEEDED`, before anything was tried. */
export const full = (details: object): HoldfastError => new HoldfastError(FULL[0], FULL[1], { details: { ...details } })

/** `SCHEMA`: somebody else has a database of this name. */
export const foreign = (): HoldfastError => new HoldfastError(FOREIGN[0], FOREIGN[1])

/** How much of the storage is used, in bytes; `undefined` where the browser does not say. */
export async function estimate(): Promise<{ usage?: number | undefined; quota?: number | undefined } | undefined> {
  try {
    const found = await storageManager().estimate?.()
    return found && { usage: found.usage, quota: found.quota }
  } catch {
    return undefined
  }
}
