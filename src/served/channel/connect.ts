/** The side of a channel that uses the driver. @module */
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
   * How long the other side may be silent before it counts as dead, in milliseconds from 1; 30 seconds by default, `0`
   * for never. Not every runtime reports that the other end of a port is gone, so while a call waits, the other side is
   * asked for a sign of life. A worker gives none while it works synchronously, so the timeout must be longer than
   * that.
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

/** How often a silent side is asked before it is given up. */
const MAX_QUESTIONS = 3

/**
 * Connects to a driver that is served at the other end of a port. The other side must call {@link serve}, which may
 * happen later.
 *
 * The driver has the capabilities of the served one, so connecting waits for an answer. There may be many writers, all
 * of them through the one process that serves. When the other side dies, waiting calls are rejected with `UNAVAILABLE`,
 * `ambiguous` for commits, and so are later calls. Connect to another port then.
 *
 * The driver listens to the port until it is closed, and again after it is reopened. In Node, a port without listeners
 * keeps no process alive.
 *
 * @param port - one end of a channel; stays open, also when the driver is closed
 * @param options - how long the other side may be silent, and a signal to stop waiting for the first answer
 * @returns the driver; values passed to it are copied once, then transferred if the ports support that
 * @throws `UNAVAILABLE` if the other side does not answer; `UNSUPPORTED` if it speaks another version;
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
  /** The reason why no more calls can be made. */
  let over: typeof CLOSED | undefined
  /** Whether the driver was closed and not reopened. */
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let unanswered = 0
  /** Whether anybody listens for changes. */
  let isListening = false
  const news = announcer((isWanted) => {
    isListening = isWanted
    if (!over) requestAnnouncements()
  })

  /**
   * Asks the other side to start or stop announcing. If the message is lost, announcements are missed, which is
   * allowed.
   */
  const requestAnnouncements = (): void => void ask('watch', isListening).catch(() => {})

  /** Removes a call from the waiting ones. */
  function settle(id: string): Pending | undefined {
    const call = pending.get(id)
    pending.delete(id)
    if (pending.size === 0) {
      if (timer) clearTimeout(timer)
      timer = undefined
    }
    return call
  }

  /** @param isCertain - whether every call that took effect was answered */
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
        if (unanswered++ === MAX_QUESTIONS)
          return end({ code: 'UNAVAILABLE', message: 'The other side does not answer' })
        post(port, { holdfast: VERSION, id: newId(), call: 'ping' })
        watch()
      },
      timeout / (MAX_QUESTIONS + 1),
    )
  }

  function received(message: object): void {
    // Any message ends the silence.
    unanswered = 0
    const { id, value, error, closed, changed } = message as Record<string, unknown>
    if (closed === true) return end({ code: 'UNAVAILABLE', message: 'The other side has stopped serving' }, true)
    if (Array.isArray(changed)) return news.announce(() => changed as readonly string[])
    // If both ends serve and ask, calls from the other side arrive here too.
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
    listen(port, received, () => end({ code: 'UNAVAILABLE', message: 'The other side of the channel is gone' }))
  let stop = attach()

  async function open(options?: CallOptions): Promise<void> {
    if (isClosed) {
      over = undefined
      isClosed = false
      unanswered = 0
      stop = attach()
      if (isListening) requestAnnouncements()
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
      // A copy, because the caller keeps using its buffer, and posting a view would send the whole buffer.
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
