/** The side of a channel that has the driver. @module */
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
   * The most that a request may hold, in bytes of keys, versions and values from 131072; 8 MiB by default. A value may
   * have half of it. What the driver takes at most counts besides.
   */
  readonly maxRequestBytes?: number
  /**
   * The most that an answer holds, in bytes from 131072; 8 MiB by default. What does not fit is put off, and
   * {@link connect} asks for it. One entry always fits.
   */
  readonly maxAnswerBytes?: number
  /** How many requests may wait on this port, from 1; 1000 by default. More are refused with `OVERLOADED`. */
  readonly maxRequests?: number
}

/** The least of the sizes: there has to be room for something. */
const LEAST_BYTES = 2 ** 17
const DEFAULT_BYTES = 2 ** 23
/** Reads and commits that are under way at the same time: each of them holds a request and an answer. */
const AT_ONCE = 16

/** Of lists in one request: with more, one of them would keep others waiting. */
const COUNTS = { commitKeys: 1000, requestCommits: 1000, requestReads: 1000, rangeEntries: 1000 }

/** A driver that is being served. */
export interface Served {
  /**
   * Takes no more requests, answers those under way, and tells the other side. The port and the driver stay open: they
   * belong to whoever handed them in. Idempotent.
   */
  close(): Promise<void>
}

/**
 * Serves a driver over a port. What the other side has to do is {@link connect}.
 *
 * Called once per port, as often as there are ports: all of them share the driver. Whatever comes in is checked before
 * the driver sees it; requests and answers are bounded, and so is how many of them are under way. No message is lost on a port and none is repeated, so a replay window is not needed; where the
 * driver has one it is passed on, for callers that repeat a request themselves after this side has died.
 *
 * @param driver - opened when a caller asks for it, never closed here
 * @param port - one end of a channel; stays open
 * @param options - how much goes over it
 * @returns the way to stop
 * @throws `INVALID_ARGUMENT` for malformed options
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { connect, serve } from 'holdfast/channel'
 *
 * // In real life the two ports are in two threads, tabs or processes.
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
  requireInteger(maxRequestBytes, 'maxRequestBytes', LEAST_BYTES)
  requireInteger(maxAnswerBytes, 'maxAnswerBytes', LEAST_BYTES)
  requireInteger(maxRequests, 'maxRequests', 1)
  const limits = limitsOf(driver.capabilities.limits, maxRequestBytes, maxAnswerBytes)
  const capabilities: Capabilities = { ...served(driver.capabilities), limits }
  const inTurn = turnstile(AT_ONCE, maxRequests)
  const turn = turns()
  /** How to stop waiting for each call under way. */
  const underWay = new Map<string, AbortController>()
  let onIdle: (() => void) | undefined
  let closing: Promise<void> | undefined
  let transfers = false
  /** How many callers want to be told of changes, and what ends that. */
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
        throw invalid('The call must be one that this version knows')
    }
  }

  function reply(id: string, value: unknown): void {
    const bytes = new Set<ArrayBufferLike>()
    const own = (it: string | Uint8Array): string | Uint8Array => {
      // The contract gives an answer to its caller, which here is this function. What is in it twice goes once.
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

/** What a caller is granted: no more than the options and the driver do. */
function limitsOf(limits: Limits, requestBytes: number, answerBytes: number): Limits {
  const most: Record<LimitName, number> = { ...COUNTS, requestBytes, valueBytes: requestBytes / 2, answerBytes }
  const names = Object.keys(most) as LimitName[]
  const least = names.map((name) => [name, Math.min(limits[name], Math.floor(most[name]))])
  return { ...limits, ...(Object.fromEntries(least) as typeof most) }
}
