/** The side of a channel that uses a driver of the other. @module */
import { announcer } from '../../drivers/shared/announcer.ts'
import { requireInteger } from '../../core/arguments.ts'
import { idSource } from '../../core/clock.ts'
import type { CallOptions, CommitAnswer, Driver, ReadAnswer } from '../../core/driver.ts'
import { HoldfastError, aborted } from '../../core/errors.ts'
import { readInPieces } from '../../drivers/shared/split-reads.ts'
import { fromWireError, mapRequest } from '../wire.ts'
import {
  type Hello,
  type Method,
  type Port,
  type ReadBody,
  VERSION,
  type Welcome,
  canTransfer,
  listen,
  post,
} from './port.ts'

/** Options of {@link connect}. */
export interface ConnectOptions extends CallOptions {
  /**
   * After how long without a sign of life the other side counts as dead, in milliseconds from 1; 30 seconds by default,
   * `0` for never. It is asked for signs only while something waits for it. Not every runtime tells that the other end
   * of a port is gone. A worker that works synchronously gives no sign meanwhile, so let it be longer than that takes.
   */
  readonly timeout?: number
}

/** A call that waits for its answer. */
interface Pending {
  readonly isCommit: boolean
  readonly resolve: (value: unknown) => void
  readonly reject: (error: HoldfastError) => void
}

const CLOSED: { readonly code: 'CLOSED' | 'UNAVAILABLE'; readonly message: string } = {
  code: 'CLOSED',
  message: 'The driver is not open; call open() first',
}

/** How often a side that is silent is asked before it is given up. */
const QUESTIONS = 3

/**
 * Connects to a driver that is served at the other end of a port. What the other side has to do is {@link serve}; it
 * may come later than this.
 *
 * The capabilities are those of the served driver, which is why this waits for its answer. Writers may be many, all of
 * them through the one that serves. When the other side dies, what waits is rejected with `UNAVAILABLE`, `ambiguous`
 * for commits, and so is what is asked for later; connect to another port then.
 *
 * The driver listens to the port until it is closed, and again once it is opened again. In Node a port that nobody
 * listens to keeps no process alive.
 *
 * @param port - one end of a channel; stays open, also when the driver is closed
 * @param options - how long to wait for signs of life, and a signal to stop waiting for the first
 * @returns the driver; values handed to it are copied once, then transferred where the ports can
 * @throws `UNAVAILABLE` when the other side does not answer, `UNSUPPORTED` when it speaks another version,
 *   `INVALID_ARGUMENT` for a malformed timeout
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { connect, serve } from 'holdfast/channel'
 *
 * const { port1, port2 } = new MessageChannel()
 * serve(memory(), port1)
 * const driver = await connect(port2, { timeout: 5000 })
 * const holdfast = createHoldfast({ driver })
 * console.log(await holdfast.state.get('greeting')) // undefined
 * port1.close()
 * ```
 */
export async function connect(port: Port, { timeout = 30_000, signal }: ConnectOptions = {}): Promise<Driver> {
  requireInteger(timeout, 'timeout')
  const newId = idSource()
  const pending = new Map<string, Pending>()
  /** Why nothing can be asked for any more. */
  let over: typeof CLOSED | undefined
  /** Whether it was closed, and not opened again since. */
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let unanswered = 0
  /** Whether somebody listens for changes. */
  let isListening = false
  const news = announcer((isWanted) => {
    isListening = isWanted
    if (!over) tellWhetherToTell()
  })

  /** One that gets lost is missed like any other announcement. */
  const tellWhetherToTell = (): void => void ask('watch', isListening).catch(() => {})

  /** Takes a call out of those that wait. */
  function settle(id: string): Pending | undefined {
    const call = pending.get(id)
    pending.delete(id)
    if (pending.size === 0) {
      if (timer) clearTimeout(timer)
      timer = undefined
    }
    return call
  }

  /** @param isCertain - whether all that took effect was answered */
  function end(why: NonNullable<typeof over>, isCertain = false): void {
    over ??= why
    stop()
    for (const [id, { isCommit }] of [...pending]) {
      settle(id)!.reject(
        new HoldfastError(why.code, why.message, { ambiguous: isCommit && !isCertain, retryable: isCertain }),
      )
    }
  }

  function watch(): void {
    if (timeout === 0) return
    timer ??= setTimeout(
      () => {
        timer = undefined
        if (unanswered++ === QUESTIONS) return end({ code: 'UNAVAILABLE', message: 'The other side does not answer' })
        post(port, { holdfast: VERSION, id: newId(), call: 'ping' })
        watch()
      },
      timeout / (QUESTIONS + 1),
    )
  }

  function received(message: object): void {
    // The first thing heard after a silence, whatever it is.
    unanswered = 0
    const { id, value, error, closed, changed } = message as Record<string, unknown>
    if (closed === true) return end({ code: 'UNAVAILABLE', message: 'The other side serves no more' }, true)
    if (Array.isArray(changed)) return news.announce(() => changed as readonly string[])
    // Where both ends serve and ask, calls of the other side come along here too.
    if (typeof id !== 'string' || 'call' in message) return
    const call = settle(id)
    if (error === undefined) call?.resolve(value)
    else call?.reject(fromWireError(error) ?? new HoldfastError('BACKEND', 'The answer is malformed'))
  }

  async function ask(
    call: Method,
    body?: unknown,
    options: CallOptions = {},
    bytes: readonly ArrayBufferLike[] = [],
  ): Promise<unknown> {
    const { signal } = options
    if (over) throw new HoldfastError(over.code, over.message)
    if (signal?.aborted) throw aborted(signal, false)
    const id = newId()
    const isCommit = call === 'commit'
    const onAbort = (): void => {
      settle(id)?.reject(aborted(signal!, isCommit))
      post(port, { holdfast: VERSION, abort: id })
    }
    const answer = new Promise<unknown>((resolve, reject) => pending.set(id, { isCommit, resolve, reject }))
    signal?.addEventListener('abort', onAbort)
    try {
      post(port, { holdfast: VERSION, id, call, ...(body !== undefined && { body }) }, bytes)
      watch()
      return await answer
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const attach = (): (() => void) =>
    listen(port, received, () => end({ code: 'UNAVAILABLE', message: 'The other side has gone' }))
  let stop = attach()

  async function open(options?: CallOptions): Promise<void> {
    if (isClosed) {
      over = undefined
      isClosed = false
      unanswered = 0
      stop = attach()
      if (isListening) tellWhetherToTell()
    }
    await ask('open', undefined, options)
  }

  async function close(): Promise<void> {
    if (isClosed) return
    isClosed = true
    if (isListening && !over) post(port, { holdfast: VERSION, id: newId(), call: 'watch', body: false })
    end(CLOSED)
    over = CLOSED
  }

  async function greet(): Promise<Welcome> {
    try {
      return (await ask('hello', { transfer: canTransfer(port) } satisfies Hello, { signal })) as Welcome
    } catch (error) {
      stop()
      throw error
    }
  }
  const { name, capabilities, transfer, watch: announces = false } = await greet()

  return {
    name,
    capabilities,
    open,
    read: (reads, options) =>
      readInPieces(
        reads,
        (asked, known) => ask('read', { reads: asked, known } satisfies ReadBody, options) as Promise<ReadAnswer>,
        capabilities.limits.answerBytes,
      ),
    async commit(request, options) {
      const bytes: ArrayBufferLike[] = []
      // The caller goes on using theirs, and a window would take all that is around it along: so, a copy.
      const copied = mapRequest(request, (value) => {
        if (typeof value === 'string') return value
        const copy = new Uint8Array(value)
        if (transfer && canTransfer(port)) bytes.push(copy.buffer)
        return copy
      })
      return (await ask('commit', copied, options, bytes)) as CommitAnswer
    },
    close,
    ...(announces && { watch: news.watch }),
  }
}
