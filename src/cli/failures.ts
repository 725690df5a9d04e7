/** Errors at the command line, and their exit codes. @module */
import { CommanderError } from './libraries.ts'
import { type ErrorCode, type HoldfastError, isHoldfastError } from '../core/errors.ts'

/** The exit codes, as docs/operations.md lists them. */
export const EXIT = {
  ok: 0,
  /** Done, but with findings: problems, failures, differences. */
  found: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unavailable: 5,
  damaged: 6,
  declined: 7,
  interrupted: 130,
  /** The reader of the output went away: the code that a shell gives for SIGPIPE. */
  unread: 141,
} as const

const BY_CODE: Partial<Record<ErrorCode, readonly [exit: number, advice: string]>> = {
  INVALID_ARGUMENT: [EXIT.usage, 'See the --help of the command'],
  UNSUPPORTED: [EXIT.usage, 'This backend or runtime cannot do it'],
  NOT_FOUND: [EXIT.notFound, 'List the runs: holdfast runs'],
  CONFLICT: [EXIT.refused, 'Nothing was overwritten'],
  ALREADY_EXISTS: [EXIT.refused, 'Nothing has changed'],
  ALREADY_COMPLETED: [EXIT.refused, 'Nothing has changed'],
  CANNOT_UNPAUSE: [EXIT.refused, 'Nothing has changed'],
  PAYLOAD_TOO_LARGE: [EXIT.refused, 'Use a backend with higher limits'],
  QUOTA_EXCEEDED: [EXIT.unavailable, 'Free some space, then run it again'],
  READ_ONLY: [EXIT.unavailable, 'Check the permissions of the file and its directory'],
  UNAUTHORIZED: [EXIT.unavailable, 'Check the user, the password or the token'],
  UNAVAILABLE: [EXIT.unavailable, 'Try again, or run holdfast doctor'],
  TIMEOUT: [EXIT.unavailable, 'Check the host and the port, and whether the server answers'],
  BACKEND: [EXIT.unavailable, 'Run holdfast doctor'],
  SERIALIZATION: [EXIT.damaged, 'Use another backup, or the release that wrote it'],
  SCHEMA: [EXIT.damaged, 'Check that this is the right file'],
  ABORTED: [EXIT.interrupted, 'Nothing is half done; run it again'],
}

/** Errors of Node and the operating system about files, pipes and aborted work. */
const BY_FAULT: Readonly<Record<string, readonly [exit: number, advice: string]>> = {
  ENOENT: [EXIT.notFound, 'Check the path'],
  ENOTDIR: [EXIT.notFound, 'Check the path'],
  EISDIR: [EXIT.usage, 'Name a file'],
  EACCES: [EXIT.unavailable, 'Check the permissions of the file and its directory'],
  EPERM: [EXIT.unavailable, 'Check the permissions of the file and its directory'],
  EROFS: [EXIT.unavailable, 'Name a path that can be written to'],
  ENOSPC: [EXIT.unavailable, 'Free some space, then run it again'],
  ECONNREFUSED: [EXIT.unavailable, 'Check the host and the port, and whether the server runs'],
  ENOTFOUND: [EXIT.unavailable, 'Check the name of the host'],
  EPIPE: [EXIT.unread, 'The output is incomplete'],
  ABORT_ERR: [EXIT.interrupted, 'Nothing is half done; run it again'],
}

/** Thrown to end a command with one line and an exit code. */
export class Failure extends Error {
  readonly exit: number
  readonly advice: string | undefined

  constructor(exit: number, message: string, advice?: string) {
    super(message)
    this.exit = exit
    this.advice = advice
  }
}

/** The text printed for an error, and the exit code. */
export interface Ending {
  readonly exit: number
  readonly code: string
  readonly message: string
  readonly advice: string | undefined
}

/** Translates an error for the command line. */
export function endingOf(error: unknown): Ending {
  if (error instanceof Failure) {
    const { exit, message, advice } = error
    return { exit, code: 'FAILED', message, advice }
  }
  if (isHoldfastError(error)) return endingOfCoded(error)
  if (error instanceof CommanderError) return endingOfTyped(error)
  const { code = 'FAILED', message } = error as NodeJS.ErrnoException
  const [exit, advice] = BY_FAULT[code] ?? [EXIT.unavailable, undefined]
  return { exit, code, message: message.split('\n')[0]!, advice }
}

/** Joins commander's message about the typed command, which can have several lines, into one. */
function endingOfTyped({ message }: CommanderError): Ending {
  const text = message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
  const said = text.charAt(0).toUpperCase() + text.slice(1)
  return { exit: EXIT.usage, code: 'INVALID_ARGUMENT', message: said, advice: 'See holdfast --help' }
}

function endingOfCoded({ code, message, details }: HoldfastError): Ending {
  const [exit, advice] = BY_CODE[code] ?? [EXIT.found, undefined]
  const { part, key } = details ?? {}
  const where = typeof part === 'string' && typeof key === 'string' ? ` (${part} ${key})` : ''
  return { exit, code, message: message + where, advice }
}
