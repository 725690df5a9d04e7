/** Maps errors of SQLite engines to HoldfastErrors. @module */
import { type ErrorCode, HoldfastError, isHoldfastError } from '../../core/errors.ts'

/**
 * Result codes by number. `node:sqlite` has the number in `errcode`; better-sqlite3 has `SQLITE_` and the name in
 * `code`.
 */
const RESULTS: Readonly<Record<number, string>> = {
  3: 'PERM',
  5: 'BUSY',
  6: 'LOCKED',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  18: 'TOOBIG',
  26: 'NOTADB',
}
/** The shared memory beside a WAL file could not grow: the disk is full. */
const IOERR_SHMSIZE = 4874

/**
 * The name of the primary result code, without `SQLITE_`; `undefined` if SQLite did not throw the error, or for plain
 * ERROR.
 */
export function resultOf(cause: unknown): string | undefined {
  const { code, errcode, message } = Object(cause) as { code?: unknown; errcode?: unknown; message?: unknown }
  if (errcode === IOERR_SHMSIZE || code === 'SQLITE_IOERR_SHMSIZE') return 'FULL'
  if (typeof errcode === 'number') return RESULTS[errcode & 0xff]
  // On Workers, only the end of the message has it.
  return /^SQLITE_([A-Z]+)/.exec(String(code))?.[1] ?? /: SQLITE_([A-Z]+)/.exec(String(message))?.[1]
}

type Fault = readonly [code: ErrorCode, message: string, isRetryable?: boolean]

const LOCKED: Fault = ['UNAVAILABLE', 'The database is locked by another connection; try again later', true]
const NOT_WRITABLE: Fault = [
  'READ_ONLY',
  'The database cannot be written; check the permissions of its file and directory',
]
const NOT_OPENED: Fault = ['UNAVAILABLE', 'The database file cannot be opened; check its path and permissions', true]

/** Errors by result code. A missing directory may not be mounted yet, so opening can be tried again. */
const BY_RESULT: Readonly<Record<string, Fault>> = {
  BUSY: LOCKED,
  LOCKED,
  READONLY: NOT_WRITABLE,
  PERM: NOT_WRITABLE,
  CANTOPEN: NOT_OPENED,
  FULL: ['QUOTA_EXCEEDED', 'The disk is full, nothing was changed; make room and try again'],
  TOOBIG: ['PAYLOAD_TOO_LARGE', 'The value is larger than SQLite allows; split it'],
  NOTADB: ['SCHEMA', 'The file is not a database; check its path'],
  CORRUPT: ['SCHEMA', 'The database is damaged; restore it from a backup'],
  IOERR: ['BACKEND', 'The database file cannot be read or written; check the disk'],
}

/** Errors without a useful result code, by the message of SQLite or the engine. */
const BY_MESSAGE: readonly (readonly [RegExp, Fault])[] = [
  [
    /database .*is not open|statement has been finalized/,
    ['CLOSED', 'The connection was closed; open the database again'],
  ],
  [
    /(within|inside) a transaction|is busy executing/,
    ['UNAVAILABLE', 'The connection is inside a transaction or a query of its owner; finish that first', true],
  ],
  [/directory does not exist/, NOT_OPENED],
  [
    /no such (table|column)|already exists/,
    ['SCHEMA', 'The tables of holdfast are missing or of another program; check that this is the right file'],
  ],
  [/no such function/, ['UNSUPPORTED', 'SQLite is too old; version 3.43 or newer is needed']],
  [
    /bindings file|NODE_MODULE_VERSION/,
    ['UNSUPPORTED', 'The native part of better-sqlite3 does not load; install or rebuild it for this runtime'],
  ],
]

/** Maps an error of an engine. A commit is ambiguous only if the disk failed in the middle of it. */
export function toHoldfastError(cause: unknown, isCommitting = false): HoldfastError {
  if (isHoldfastError(cause)) return cause
  const result = resultOf(cause)
  const said = String((cause as Error | null)?.message)
  const [code, message, retryable = false]: Fault = (result === undefined ? undefined : BY_RESULT[result]) ??
    BY_MESSAGE.find(([pattern]) => pattern.test(said))?.[1] ?? ['BACKEND', 'SQLite failed; see the cause']
  const ambiguous = isCommitting && code === 'BACKEND'
  return new HoldfastError(code, message, { cause, retryable, ambiguous, details: { result } })
}
