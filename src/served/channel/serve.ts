/** The side of a channel that serves the driver. @module */
import { commitWithin, readWithin, turns } from '../answers.ts'
import { requireInteger } from '../../core/arguments.ts'
import type { Capabilities, CommitAnswer, Driver, LimitName, Limits, ReadAnswer } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { commitRequestOf, mapAnswer, readsOf, served, toWireError } from '../wire.ts'
import {
  type Hello,
  type Port,
  type ReadBody,
  type Reply,
  VERSION,
  type Welcome,
  canTransfer,
  listen,
  post,
  whole,
} from './port.ts'
import { turnstile } from './turnstile.ts'

/** Options of {@link serve}. */
export interface ServeOptions {
  /**
   * The most bytes of keys, versions and values in a request, from 131072; 8 MiB by default. A value may have half of
   * it. The driver's own limits apply as well.
   */
  readonly maxRequestBytes?: number
  /**
   * The most bytes of keys, versions and values in an answer, from 131072; 8 MiB by default. {@link connect} asks again
   * for the data that does not fit. One entry always fits.
   */
  readonly maxAnswerBytes?: number
  /** How many requests may wait on this port, from 1; 1000 by default. Further ones are refused with `OVERLOADED`. */
  readonly maxRequests?: number
}

/** The smallest allowed sizes, so that there is room for something. */
const MIN_BYTES = 2 ** 17
const DEFAULT_BYTES = 2 ** 23
/** The most reads and commits under way at once. Each holds a request and an answer in memory. */
const AT_ONCE = 16

/** Limits for lists in one request, so that no request keeps others waiting for long. */
const COUNTS = { commitKeys: 1000, requestCommits: 1000, requestReads: 1000, rangeEntries: 1000 }

/** A driver that is being served. */
export interface Served {
  /**
   * Accepts no more requests, answers those under way, and tells the other side. The port and the driver stay open:
   * they belong to the caller. Idempotent.
   */
  close(): Promise<void>
}

/**
 * Serves a driver over a port. The other side calls {@link connect}.
 *
 * Call it once per port. Any number of ports may share the driver. All messages are checked before the driver sees
 * them. Requests, answers, and the number of requests under way are bounded. A port neither loses nor repeats a
 * message, so no replay window is needed. If the driver has one, it is passed on, for callers that repeat requests
 * themselves after this side has died.
 *
 * @param driver - opened when a caller asks for it, never closed here
 * @param port - one end of a channel; stays open
 * @param options - limits for requests and answers
 * @returns an object that stops serving
 * @throws `INVALID_ARGUMENT` for malformed options
 *
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { connect, serve } from 'holdfast/channel'
 *
// Normally the two ports are in different threads, tabs or processes.
 * const { port1, port2 } = new MessageChannel()
 * serve(memory(), port1)
 * const holdfast = createHoldfast({ driver: await connect(port2) })
 * await holdfast.state.set('greeting', 'hello')
 * await holdfast.close()
 * port1.close()
 * ```
 */
export function serve(driver: Driver, port: Port, options: ServeOptions = {}): Served {
  const { maxRequestBytes = DEFAULT_BYTES, maxAnswerBytes = DEFAULT_BYTES, maxRequests = 1000 } = options
  requireInteger(maxRequestBytes, 'maxRequestBytes', MIN_BYTES)
  requireInteger(maxAnswerBytes, 'maxAnswerBytes', MIN_BYTES)
  requireInteger(maxRequests, 'maxRequests', 1)
  const limits = limitsOf(driver.capabilities.limits, maxRequestBytes, maxAnswerBytes)
  const capabilities: Capabilities = { ...served(driver.capabilities), limits }
  const inTurn = turnstile(AT_ONCE, maxRequests)
  const turn = turns()
  /** Controllers that abort the calls under way, by call id. */
  const underWay = new Map<string, AbortController>()
  let onIdle: (() => void) | undefined
  let closing: Promise<void> | undefined
  let transfers = false
  /** The number of callers that listen for changes, and the function that ends announcements. */
  let listeners = 0
  let unwatch: (() => void) | undefined

  function watch(isWanted: boolean): void {
    listeners += isWanted ? 1 : -1
    if (listeners <= 0) stopTelling()
    else unwatch ??= driver.watch?.((changed) => post(port, { holdfast: VERSION, changed }))
  }

  function stopTelling(): void {
    listeners = 0
    unwatch?.()
    unwatch = undefined
  }

  async function answer(call: unknown, body: unknown, signal: AbortSignal): Promise<unknown> {
    switch (call) {
      case 'hello':
        transfers = canTransfer(port) && (body as Partial<Hello> | undefined)?.transfer === true
        return {
          name: driver.name,
          capabilities,
          transfer: canTransfer(port),
          watch: driver.watch !== undefined,
        } satisfies Welcome
      case 'ping':
        return undefined
      case 'watch':
        return watch(body === true)
      case 'open':
        return driver.open({ signal })
      case 'read': {
        const { reads, known } = (body ?? {}) as Partial<ReadBody>
        const questions = readsOf(reads, limits)
        requireInteger(known as number, 'known', 0, questions.length)
        const within = { known: known!, most: limits.answerBytes, valueBytes: limits.valueBytes, turn, signal }
        return inTurn(signal, () => readWithin(driver, questions, within))
      }
      case 'commit': {
        const request = commitRequestOf(body, limits)
        return inTurn(signal, async () => commitWithin(await driver.commit(request, { signal }), limits.answerBytes))
      }
      default:
        throw invalid(`The call must be one of version ${VERSION}`)
    }
  }

  function reply(id: string, value: unknown): void {
    const bytes = new Set<ArrayBufferLike>()
    const own = (it: string | Uint8Array): string | Uint8Array => {
      // By the contract, the answer belongs to its caller, this function. A buffer that occurs twice is sent once.
      const mine = whole(it)
      if (transfers && typeof mine !== 'string') bytes.add(mine.buffer)
      return mine
    }
    const isAnswer = typeof value === 'object' && value !== null && 'now' in value
    const whatToSay = isAnswer ? mapAnswer(value as ReadAnswer | CommitAnswer, own) : value
    post(port, { holdfast: VERSION, id, value: whatToSay }, [...bytes])
  }

  async function take(id: string, version: unknown, call: unknown, body: unknown): Promise<void> {
    if (underWay.has(id)) return
    const controller = new AbortController()
    underWay.set(id, controller)
    try {
      if (version !== VERSION) throw new HoldfastError('UNSUPPORTED', `The version must be ${VERSION}`)
      reply(id, await answer(call, body, controller.signal))
    } catch (cause) {
      post(port, { holdfast: VERSION, id, error: toWireError(cause, call === 'commit') })
    }
    underWay.delete(id)
    if (underWay.size === 0) onIdle?.()
  }

  const stop = listen(
    port,
    (message) => {
      const { holdfast, id, call, body, abort } = message as Record<string, unknown>
      if (typeof abort === 'string') underWay.get(abort)?.abort()
      else if (typeof id === 'string' && call !== undefined) void take(id, holdfast, call, body)
    },
    () => {
      stopTelling()
      for (const controller of underWay.values()) controller.abort()
    },
  )

  async function close(): Promise<void> {
    stop()
    stopTelling()
    if (underWay.size > 0) await new Promise<void>((resolve) => (onIdle = resolve))
    post(port, { holdfast: VERSION, closed: true } satisfies Reply)
  }

  return { close: () => (closing ??= close()) }
}

/** The limits for callers: those of the options and of the driver combined. */
function limitsOf(limits: Limits, requestBytes: number, answerBytes: number): Limits {
  const most: Record<LimitName, number> = { ...COUNTS, requestBytes, valueBytes: requestBytes / 2, answerBytes }
  const names = Object.keys(most) as LimitName[]
  const least = names.map((name) => [name, Math.min(limits[name], Math.floor(most[name]))])
  return { ...limits, ...(Object.fromEntries(least) as typeof most) }
}
