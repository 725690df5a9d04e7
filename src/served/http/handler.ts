/** The side of the HTTP protocol that serves the driver. @module */
import { commitWithin, readWithin, turns } from '../answers.ts'
import { requireInteger } from '../../core/arguments.ts'
import { MAX_TIMER } from '../../core/clock.ts'
import type { Capabilities, CommitAnswer, Driver, LimitName, Limits, ReadAnswer } from '../../core/driver.ts'
import { type ErrorCode, HoldfastError, invalid, isHoldfastError } from '../../core/errors.ts'
import { type WireError, commitRequestOf, mapAnswer, readsOf, served, toWireError } from '../wire.ts'
import { prefix } from '../../wrappers/prefix.ts'
import { readBody } from './body.ts'
import { MEDIA_TYPE, VERSION, frameWriter, readFrame } from './frame.ts'
import {
  ANSWER_BYTES,
  KEY_OVERHEAD,
  LIMITS,
  REPLAY_WINDOW,
  VALUE_OVERHEAD,
  bodyBytesOf,
  requestBytesOf,
} from './limits.ts'
import { retryAfterOf, statusOf } from './status.ts'

/** The caller's tenant id, 1 to 256 UTF-8 bytes; `401` for an unknown caller, `403` for a known one without access. */
export type Admission = string | 401 | 403

/** Options of {@link createHandler}. */
export interface HandlerOptions {
  /**
   * Identifies the tenant of a request by its headers. It must not touch the body, which is read later. Only a tenant's
   * id grants access: anything else, or a throw, refuses the request.
   */
  readonly authorize: (request: Request) => Admission | undefined | Promise<Admission | undefined>
  /**
   * The longest body to read, in bytes from 196608; 8 MiB and 64 KiB by default. The limit of a request is half of the
   * bytes beyond 64 KiB.
   */
  readonly maxRequestBytes?: number
  /**
   * The most bytes of keys, versions and values in an answer, from 131072; 4 MiB by default. {@link remote} asks again
   * for the data that does not fit. One entry always fits if a request could have written it. A larger entry, which the
   * server itself has written, is refused with `PAYLOAD_TOO_LARGE`. Values of failed checks that do not fit are left
   * out.
   */
  readonly maxAnswerBytes?: number
  /** The longest that a body may take to arrive, in milliseconds from 1; 10 seconds by default. */
  readonly bodyTimeout?: number
}

/** A request must hold the smallest record that stores can work with, see the limits of `holdfast/testing`. */
const MIN_REQUEST_BYTES = bodyBytesOf(2 ** 16)

/** Answers a request. Never rejects. */
export type Handler = (request: Request) => Promise<Response>

/**
 * Makes a fetch handler that serves a driver to outside callers, each within its tenant. Callers use {@link remote}.
 * docs/http-protocol.md describes the protocol.
 *
 * All keys of a request are placed under its tenant, so it cannot name another tenant's data. The server itself reaches
 * the same data through the wrapper of `holdfast/prefix`, with the tenant's id as name. All input is bounded in length
 * and in time, and checked before the driver sees it.
 *
 * Pages of other origins have no access: a browser's CORS preflight is refused like any request without credentials.
 * docs/http-protocol.md shows how to allow them.
 *
 * @param driver - must recognise repeated requests for at least 120 seconds, because an answer can get lost: over
 *   SQLite with the option `replayWindow`, over memory with the wrapper of `holdfast/replay`. Opened at the first
 *   request, never closed
 * @param options - access and limits
 * @returns the handler, for any path
 * @throws `UNSUPPORTED` for a driver that does not recognise repeats for long enough; `INVALID_ARGUMENT` for malformed
 *   options
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { createHandler, remote } from 'holdfast/http'
 * import { prefix } from 'holdfast/prefix'
 * import { replay } from 'holdfast/replay'
 *
 * const tenants = new Map([['Bearer secret', 'acme']])
 * const driver = replay(memory())
 * const handler = createHandler(driver, {
 *   authorize: (request) => tenants.get(request.headers.get('authorization') ?? '') ?? 401,
 * })
 *
// Normally the caller runs elsewhere and uses its own `fetch`.
 * const client = remote({
 *   url: 'https://example.com/state',
 *   headers: { authorization: 'Bearer secret' },
 *   fetch: (url, init) => handler(new Request(url, init)),
 *   capabilities: { durability: 'none' },
 * })
 * await createHoldfast({ driver: client }).state.set('greeting', 'hello')
 * console.log(await createHoldfast({ driver: prefix(driver, 'acme') }).state.get('greeting')) // hello
 * ```
 */
export function createHandler(driver: Driver, options: HandlerOptions): Handler {
  const {
    authorize,
    maxRequestBytes = bodyBytesOf(LIMITS.requestBytes),
    maxAnswerBytes = ANSWER_BYTES,
    bodyTimeout = 10_000,
  } = options
  if (typeof authorize !== 'function') throw invalid('authorize must be a function')
  requireInteger(maxRequestBytes, 'maxRequestBytes', MIN_REQUEST_BYTES)
  requireInteger(maxAnswerBytes, 'maxAnswerBytes', 2 ** 17)
  requireInteger(bodyTimeout, 'bodyTimeout', 1, MAX_TIMER)
  if (driver.capabilities.replayWindow < REPLAY_WINDOW) {
    throw new HoldfastError(
      'UNSUPPORTED',
      `The driver must recognise repeated requests for at least ${REPLAY_WINDOW} ms, not ${driver.capabilities.replayWindow}; set its replayWindow, or wrap it in replay()`,
    )
  }

  /** The limits of a tenant. */
  const limitsFor = (view: Driver): Limits => limitsOf(view.capabilities.limits, maxRequestBytes, maxAnswerBytes)
  let isOpen = false

  async function open(): Promise<void> {
    if (isOpen) return
    // Not shared with other waiting requests: some runtimes cancel the work of a request when it ends.
    await driver.open()
    isOpen = true
  }

  /** The view of the caller's tenant, or the status that refuses access. */
  async function admit(request: Request): Promise<Driver | 401 | 403> {
    try {
      const admission = (await authorize(request)) ?? 401
      return typeof admission === 'number' ? admission : prefix(driver, admission)
    } catch {
      // The error's message is not for callers.
      throw new HoldfastError('BACKEND', 'The request could not be authorized')
    }
  }

  async function execute(view: Driver, request: Request): Promise<Response> {
    const body = await readBody(request, maxRequestBytes, bodyTimeout)
    if (!body) return refuse(408, 'UNAVAILABLE', 'The body came too slowly', true)
    const { message, value, end } = readFrame(body)
    const { version, reads, known = 0, ...commit } = (message ?? {}) as Record<string, unknown>
    if (version !== VERSION) throw new HoldfastError('UNSUPPORTED', `The version must be ${VERSION}`)
    const limits = limitsFor(view)
    const turn = turns()
    if (reads !== undefined) {
      const questions = readsOf(reads, limits)
      requireInteger(known as number, 'known', 0, questions.length)
      end()
      await open()
      // Without a network the driver is done before anybody can hang up, and a signal is expensive to make.
      const signal = driver.capabilities.network ? request.signal : undefined
      const within = { known: known as number, most: limits.answerBytes, valueBytes: limits.valueBytes, turn, signal }
      const found = await readWithin(view, questions, within)
      await turn()
      return answer(found)
    }
    const { requestBytes, keyOverhead = 0, valueOverhead = 0 } = view.capabilities.limits
    // The body is bounded already, so only the driver's limits count.
    const commits = commitRequestOf(commit, { ...limits, requestBytes, keyOverhead, valueOverhead }, value)
    end()
    await open()
    // Without the signal: a caller whose connection broke will repeat the request.
    const outcome = await mayHaveHappened(view.commit(commits))
    await turn()
    return answer(commitWithin(outcome, limits.answerBytes))
  }

  return async (request) => {
    try {
      const view = await admit(request)
      if (typeof view === 'number') return refuse(view, 'UNAUTHORIZED', 'The request must be authorized')
      if (request.method === 'GET') {
        const capabilities: Capabilities = { ...served(driver.capabilities), network: true, limits: limitsFor(view) }
        return respond(200, frameWriter().finish({ version: VERSION, name: driver.name, capabilities }))
      }
      if (request.method !== 'POST') return refuse(405, 'INVALID_ARGUMENT', 'The method must be GET or POST')
      const type = request.headers.get('content-type')?.split(';')[0]!.trim().toLowerCase()
      if (type !== MEDIA_TYPE || request.headers.get('content-encoding') !== null) {
        return refuse(415, 'INVALID_ARGUMENT', `The body must be ${MEDIA_TYPE}, without a content encoding`)
      }
      return await execute(view, request)
    } catch (cause) {
      return fail(cause)
    }
  }
}

/** Marks errors from outside this package as ambiguous. */
async function mayHaveHappened<T>(commit: Promise<T>): Promise<T> {
  try {
    return await commit
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause
    throw new HoldfastError('BACKEND', 'The backend failed', { ambiguous: true })
  }
}

/**
 * The limits for callers: what fits into a body and into the driver.
 *
 * Callers must also count the driver's overhead for keys and values, the tenant's name included, unless the driver
 * accepts so much more than a body that it never matters. In the worst case everything is keys of two halves with one
 * character each.
 *
 * @param limits - the limits of the driver, seen as the tenant
 */
function limitsOf(limits: Limits, maxRequestBytes: number, maxAnswerBytes: number): Limits {
  const requestBytes = requestBytesOf(maxRequestBytes)
  const most: Record<LimitName, number> = {
    ...LIMITS,
    requestBytes,
    valueBytes: requestBytes,
    answerBytes: maxAnswerBytes,
  }
  const names = Object.keys(most) as LimitName[]
  const least = Object.fromEntries(names.map((name) => [name, Math.min(limits[name], most[name])])) as typeof most
  const { keyOverhead = 0, valueOverhead = 0 } = limits
  const spare = limits.requestBytes / least.requestBytes
  return {
    ...least,
    keyOverhead: Math.max(KEY_OVERHEAD, Math.ceil((1 + keyOverhead) / spare) - 1),
    valueOverhead: Math.max(VALUE_OVERHEAD, Math.ceil(valueOverhead / spare)),
  }
}

function answer(found: ReadAnswer | CommitAnswer): Response {
  const writer = frameWriter()
  return respond(200, writer.finish(mapAnswer(found, writer.value)))
}

function fail(cause: unknown): Response {
  const error = notOfCaller(toWireError(cause, false))
  return respond(statusOf(error), frameWriter().finish({ error }), retryAfterOf(error))
}

/** Hides `UNAUTHORIZED` of the backend: it concerns the server, not the caller. */
const notOfCaller = (error: WireError): WireError =>
  error.code === 'UNAUTHORIZED'
    ? { ...error, code: 'BACKEND', message: 'The backend does not accept the credentials of the server' }
    : error

const refuse = (status: number, code: ErrorCode, message: string, retryable = false): Response =>
  respond(status, frameWriter().finish({ error: { code, message, retryable, ambiguous: false } }))

const respond = (status: number, body: Uint8Array<ArrayBuffer>, retryAfter?: number): Response =>
  new Response(body, {
    status,
    headers: {
      'content-type': MEDIA_TYPE,
      'cache-control': 'no-store',
      ...(status === 405 && { allow: 'GET, POST' }),
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      // Otherwise the rest of the body would still arrive.
      ...(status === 408 && { connection: 'close' }),
    },
  })
