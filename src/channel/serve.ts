/** The side of a channel that has the driver. @module */
import type { CommitAnswer, Driver, ReadAnswer } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { commitRequestOf, mapAnswer, readsOf, served, toWireError } from '../core/wire.ts'
import { type Hello, type Port, type Reply, VERSION, type Welcome, canTransfer, listen, post, whole } from './port.ts'

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
 * the driver sees it. No message is lost on a port and none is repeated, so a replay window is not needed; where the
 * driver has one it is passed on, for callers that repeat a request themselves after this side has died.
 *
 * @param driver - opened when a caller asks for it, never closed here
 * @param port - one end of a channel; stays open
 * @returns the way to stop
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
export function serve(driver: Driver, port: Port): Served {
  const capabilities = served(driver.capabilities)
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
      case 'read':
        return driver.read(readsOf(body, capabilities.limits), { signal })
      case 'commit':
        return driver.commit(commitRequestOf(body, capabilities.limits), { signal })
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
