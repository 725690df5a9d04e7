/** The side of the HTTP protocol that has the driver. @module */
import { commitWithin, readWithin, turns } from '../answers.ts'
import { requireInteger } from '../../core/arguments.ts'
import type { Capabilities, CommitAnswer, Driver, LimitName, Limits, ReadAnswer } from '../../core/driver.ts'
import { type ErrorCode, HoldfastError, invalid, isHoldfastError } from '../../core/errors.ts'
import { type WireError, commitRequestOf, mapAnswer, readsOf, served, toWireError } from '../wire.ts'
import { prefix } from '../../wrappers/prefix.ts'
import { readBody } from './body.ts'
import {
  ANSWER_BYTES,
  KEY_OVERHEAD,
  LIMITS,
  MEDIA_TYPE,
  REPLAY_WINDOW,
  VALUE_OVERHEAD,
  VERSION,
  bodyBytesOf,
  frameWriter,
  readFrame,
  requestBytesOf,
} from './frame.ts'
import { retryAfterOf, statusOf } from './status.ts'

/** Who is let in: a tenant's id, 1 to 256 UTF-8 bytes; `401` for who is not known, `403` for who is and may not. */
export type Admission = string | 401 | 403

/** Options of {@link createHandler}. */
export interface HandlerOptions {
  /**
   * Tells on whose behalf a request comes, from its headers; the body is not read yet and must be left alone. Whoever is
   * not let in by a tenant's id stays outside, also when this throws.
   */
  readonly authorize: (request: Request) => Admission | undefined | Promise<Admission | undefined>
  /**
   * The longest body that is read, in bytes from 196608; 8 MiB and 64 KiB by default. Half of what is beyond 64 KiB is the
   * limit of a request.
   */
  readonly maxRequestBytes?: number
  /**
   * The most that an answer holds, in bytes from 131072; 8 MiB by default. What does not fit is put off: {@link remote} asks
   * for it. One entry always fits if a request could have brought it; a larger one, which the server itself has written,
   * is `PAYLOAD_TOO_LARGE`. Values of failed checks that do not fit are left out.
   */
  readonly maxAnswerBytes?: number
  /** The longest that a body may take to come in, in milliseconds from 1; 10 seconds by default. */
  readonly bodyTimeout?: number
}

/** A request takes the smallest record that stores live with, see the limits of `holdfast/testing`. */
const LEAST_REQUEST_BYTES = bodyBytesOf(2 ** 16)

/** Answers a request; never rejects. */
export type Handler = (request: Request) => Promise<Response>

/**
 * Makes a fetch handler that serves a driver to callers from outside, each inside of its tenant. What the other side has
 * to do is {@link remote}; what goes between them is in docs/http-protocol.md.
 *
 * All keys of a request are put below its tenant, so there is no way to write down another tenant's. The server itself
 * gets at the same data through the wrapper of `holdfast/prefix`, with the tenant's id as its name. Whatever comes in is
 * bounded in length and in time, and checked before the driver sees it.
 *
 * Pages of other origins are not let in: what a browser asks before (CORS) is a request like any other here, which no
 * credentials come with. docs/http-protocol.md shows what to put around the handler to let them in.
 *
 * @param driver - must recognise repeated requests, since an answer can get lost: over SQLite by `replayWindow`, over
 *   memory by the wrapper of `holdfast/replay`, for 120 seconds at least. It is opened at the first request, not closed
 * @param options - who is let in, and how much is read
 * @returns the handler, for any path
 * @throws `UNSUPPORTED` for a driver that does not recognise repeats for long enough, `INVALID_ARGUMENT` for malformed options
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
 * // In real life the caller is elsewhere, and `fetch` its own.
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
  requireInteger(maxRequestBytes, 'maxRequestBytes', LEAST_REQUEST_BYTES)
  requireInteger(maxAnswerBytes, 'maxAnswerBytes', 2 ** 17)
  requireInteger(bodyTimeout, 'bodyTimeout', 1, 2 ** 31 - 1)
  if (driver.capabilities.replayWindow < REPLAY_WINDOW) {
    throw new HoldfastError('UNSUPPORTED', `The driver must recognise repeated requests for ${REPLAY_WINDOW} ms`)
  }

  /** What a tenant is granted. */
  const limitsFor = (view: Driver): Limits => limitsOf(view.capabilities.limits, maxRequestBytes, maxAnswerBytes)
  let isOpen = false

  async function open(): Promise<void> {
    if (isOpen) return
    // Not shared with the other requests that wait for it: some runtimes cancel what a request began when it ends.
    await driver.open()
    isOpen = true
  }

  /** What the caller may see, or why nothing. */
  async function admit(request: Request): Promise<Driver | 401 | 403> {
    try {
      const admission = (await authorize(request)) ?? 401
      return typeof admission === 'number' ? admission : prefix(driver, admission)
    } catch {
      // Its words are not for callers.
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
      // What needs no network is done before anybody can hang up, and a signal is dear to make.
      const signal = driver.capabilities.network ? request.signal : undefined
      const within = { known: known as number, most: limits.answerBytes, valueBytes: limits.valueBytes, turn, signal }
      const found = await readWithin(view, questions, within)
      await turn()
      return answer(found)
    }
    const { requestBytes, keyOverhead = 0, valueOverhead = 0 } = view.capabilities.limits
    // Its body is bounded already, so what counts is what the driver takes.
    const commits = commitRequestOf(commit, { ...limits, requestBytes, keyOverhead, valueOverhead }, value)
    end()
    await open()
    // Without the signal: who was cut off will ask for the answer again.
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

/** Marks what a driver throws that is not of this package. */
async function mayHaveHappened<T>(commit: Promise<T>): Promise<T> {
  try {
    return await commit
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause
    throw new HoldfastError('BACKEND', 'The backend failed', { ambiguous: true })
  }
}

/**
 * What a caller is granted: no more than its body and the driver hold.
 *
 * What the driver counts for keys and values besides, the tenant's name among it, a caller has to count, too, unless the
 * driver takes so much more than a body that it does not matter: at worst all is keys of two halves with one character each.
 *
 * @param limits - of the driver, seen as the tenant
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

/** That the backend does not let the server in is no news for its callers, whom the server does let in. */
const notOfCaller = (error: WireError): WireError =>
  error.code === 'UNAUTHORIZED'
    ? { ...error, code: 'BACKEND', message: 'The backend does not let the server in' }
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
      // The rest of the body would still come.
      ...(status === 408 && { connection: 'close' }),
    },
  })
