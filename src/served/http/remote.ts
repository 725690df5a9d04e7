/** The side of the HTTP protocol that uses the driver. @module */
import { abortable, sleep } from '../../core/abort.ts'
import { requireInteger } from '../../core/arguments.ts'
import { MAX_TIMER, systemClock } from '../../core/clock.ts'
import type { Capabilities, CommitAnswer, Driver, Limits, Read, ReadAnswer } from '../../core/driver.ts'
import { aborted, HoldfastError, inDoubt, invalid, pauseAsked } from '../../core/errors.ts'
import { readInPieces } from '../../drivers/shared/split-reads.ts'
import { lateAt } from '../../core/request-records.ts'
import { fromWireError, mapAnswer, mapRequest } from '../wire.ts'
import { type Frame, type FrameWriter, MEDIA_TYPE, VERSION, frameWriter, readFrame } from './frame.ts'
import { CALLERS_KEY_OVERHEAD, KEY_OVERHEAD, LIMITS, REPLAY_WINDOW, VALUE_OVERHEAD, bodyBytesOf } from './limits.ts'

/** The argument to `fetch`. */
export interface RemoteRequest {
  method: string
  headers: Record<string, string>
  body?: Uint8Array<ArrayBuffer>
  signal: AbortSignal
}

/** The parts used of a response. */
export interface RemoteResponse {
  readonly status: number
  readonly headers?:
    | {
        /** Gets a header by name; `null` if it is missing. */
        get(name: string): string | null
      }
    | undefined
  /** Reads the whole body. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The capabilities that the caller relies on. */
export interface RemoteCapabilities {
  /** `strict` by default. */
  readonly reads?: Capabilities['reads']
  /** `strict` by default. */
  readonly durability?: Capabilities['durability']
  /** In milliseconds; 120 seconds by default. All attempts at a request end within half of it. */
  readonly replayWindow?: number
  /**
   * By default 1 MiB per value, 4 MiB per request and per answer and 1000 of everything else. A key counts 128 bytes
   * in addition to its size, at least 32; a value counts 32. For a tenant with a long name, on a driver that accepts
   * only small requests, a server may require more per key.
   */
  readonly limits?: Partial<Limits>
}

/** Options of {@link remote}. */
export interface RemoteOptions {
  /** The URL of the handler; may be relative if `fetch` accepts that. */
  readonly url: string
  /** Headers of every request, such as `authorization`. A function is called for each attempt. */
  readonly headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
  /** Sends requests; the global `fetch` by default. */
  readonly fetch?: (url: string, init: RemoteRequest) => Promise<RemoteResponse>
  /** The longest that one attempt may take, in milliseconds from 1; 10 seconds by default. */
  readonly timeout?: number
  /** The most times to send a request, from 1; 4 by default. */
  readonly attempts?: number
  /** The capabilities that the caller relies on. Opening refuses a server that offers less. */
  readonly capabilities?: RemoteCapabilities
  /** Returns numbers from 0 to below 1, for the jitter; `Math.random` by default. */
  readonly random?: () => number
  /** Milliseconds on a clock that only goes forward; `performance.now` by default. */
  readonly monotonic?: () => number
}

/** Bounds of the random wait between two attempts, in milliseconds: the first, doubled each time up to the last. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 2000
const LEVELS = ['none', 'relaxed', 'strict']

/**
 * Makes a driver that talks to a handler over HTTP. The other side uses {@link createHandler}.
 *
 * A request without an answer is sent again under its id, after a random wait that is no shorter than `Retry-After`, up
 * to a number of times. The server recognises a repeat, so a commit takes effect once. No attempt at a commit is made
 * later than half of the replay window after the first, even if the process was suspended meanwhile. If all attempts
 * have failed, the error is `UNAVAILABLE`, `ambiguous` for a commit if any attempt may have arrived.
 *
 * The capabilities are declared, so no request is needed before the first call. Opening compares them with the
 * server's.
 *
 * @param options - the URL, credentials, and expected capabilities
 * @returns the driver
 * @throws `INVALID_ARGUMENT` for malformed options, and for attempts that could take longer than half of the replay
 *   window
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { remote } from 'holdfast/http'
 *
 * const driver = remote({ url: 'https://example.com/state', headers: { authorization: 'Bearer secret' } })
 * const holdfast = createHoldfast({ driver })
 * await holdfast.close()
 * ```
 */
export function remote(options: RemoteOptions): Driver {
  const { url, headers = {}, fetch: send = fetch, timeout = 10_000, attempts = 4, random = Math.random } = options
  const monotonic = options.monotonic ?? (() => performance.now())
  if (typeof url !== 'string' || url === '') throw invalid('url must be text of at least one character')
  requireInteger(timeout, 'timeout', 1, MAX_TIMER)
  requireInteger(attempts, 'attempts', 1)
  const capabilities: Capabilities = {
    writers: 'many',
    reads: 'strict',
    durability: 'strict',
    clock: 'shared',
    network: true,
    replayWindow: REPLAY_WINDOW,
    ...options.capabilities,
    timeout: attempts * (timeout + LONGEST_PAUSE),
    limits: {
      ...LIMITS,
      keyOverhead: CALLERS_KEY_OVERHEAD,
      valueOverhead: VALUE_OVERHEAD,
      ...options.capabilities?.limits,
    },
  }
  const { limits, replayWindow } = capabilities
  requireInteger(limits.keyOverhead!, 'keyOverhead', KEY_OVERHEAD)
  requireInteger(limits.valueOverhead!, 'valueOverhead', VALUE_OVERHEAD)
  // The other half is for the transport: a request is valid for half of the window after it is made.
  const patience = replayWindow / 2
  if (capabilities.timeout! > patience) {
    throw invalid('attempts and timeout must be small enough that all attempts end within half of replayWindow')
  }
  /** The requests under way since the driver was opened; absent while closed. */
  let underWay: Set<AbortController> | undefined = new Set()

  /** Sends once. Its error says whether another attempt may help. */
  async function attempt<T>({ init, take, isCommit, signal, calls, isOver }: Call<T>): Promise<T> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    const timer = setTimeout(stop, timeout)
    signal?.addEventListener('abort', stop)
    calls.add(controller)
    let isSent = false
    let status = 0
    let retryAfter: number | undefined
    let reported: HoldfastError | undefined
    let cause: unknown

    async function exchange(): Promise<T | undefined> {
      const more = typeof headers === 'function' ? await headers() : headers
      if (calls !== underWay || signal?.aborted || isOver()) return undefined
      isSent = true
      const all = { ...more, 'content-type': MEDIA_TYPE }
      const response = await send(url, { ...init, headers: all, signal: controller.signal })
      status = response.status
      retryAfter = pauseOf(response.headers?.get('retry-after'))
      const frame = readFrame(new Uint8Array(await response.arrayBuffer()))
      if (status === 200) return take(frame)
      reported = fromWireError((frame.message as { error?: unknown } | null)?.error)
      return undefined
    }

    try {
      const found = await abortable(exchange(), controller.signal)
      if (found !== undefined) return found
    } catch (error) {
      cause = error
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      calls.delete(controller)
    }
    const ambiguous = isCommit && isSent
    if (reported) throw reported
    if (signal?.aborted) throw aborted(signal, ambiguous)
    if (calls !== underWay) throw closed(ambiguous)
    if (status === 413) {
      throw new HoldfastError('PAYLOAD_TOO_LARGE', 'Something on the way to the server accepts only smaller requests', {
        cause,
        details: { status, size: init.body?.length ?? 0 },
      })
    }
    // Something on the way refused it, unless the request may have gone further.
    const isRefused = status >= 400 && status < 500 && status !== 408
    throw new HoldfastError('UNAVAILABLE', 'The server gave no readable answer', {
      cause,
      details: { status, ...(retryAfter !== undefined && { retryAfter }) },
      retryable: !isRefused || status === 429,
      ambiguous: ambiguous && !isRefused,
    })
  }

  /** Measures half of the window by two clocks: one stops while the machine sleeps, the other may be set back. */
  function stopwatch(): () => boolean {
    const since = monotonic()
    const at = systemClock()
    return () => Math.max(monotonic() - since, systemClock() - at) > patience
  }

  async function ask<T>(init: Init, take: (frame: Frame) => T, isCommit: boolean, signal?: AbortSignal): Promise<T> {
    const calls = underWay
    if (!calls) throw closed(false)
    const isOver = isCommit ? stopwatch() : () => false
    let isUnknown = false
    let asked = 0
    for (let n = 1; ; n++) {
      try {
        if (n > 1) await sleep(Math.max(asked, random() * Math.min(FIRST_PAUSE * 2 ** (n - 2), LONGEST_PAUSE)), signal)
        return await attempt({ init, take, isCommit, signal, calls, isOver })
      } catch (thrown) {
        const error = thrown as HoldfastError
        const { code, retryable } = error
        isUnknown ||= error.ambiguous
        asked = pauseAsked(error)
        const isLast = code === 'ABORTED' || code === 'CLOSED' || lateAt(error) !== undefined || isOver()
        // For a longer wait, the caller gets the error, which says how long.
        if (retryable && !isLast && n < attempts && asked <= LONGEST_PAUSE) continue
        // An earlier attempt may have taken effect, whatever the last one reported.
        throw error.ambiguous === isUnknown ? error : inDoubt(error)
      }
    }
  }

  /** Makes the body of a request. @throws `PAYLOAD_TOO_LARGE` if no server would accept it */
  function bodyOf(writer: FrameWriter, message: object): Uint8Array<ArrayBuffer> {
    const body = writer.finish({ version: VERSION, ...message })
    const most = bodyBytesOf(limits.requestBytes)
    if (body.length <= most) return body
    throw new HoldfastError('PAYLOAD_TOO_LARGE', `The body must have at most ${most} bytes`, {
      details: { limit: 'bodyBytes', most, size: body.length },
    })
  }

  return {
    name: 'http',
    capabilities,
    async open({ signal } = {}) {
      underWay ??= new Set()
      requireEnough(await ask({ method: 'GET' }, greetingOf, false, signal), capabilities)
    },
    read(reads, { signal } = {}) {
      const askPiece = async (asked: readonly Read[], known: number): Promise<ReadAnswer> => {
        const body = bodyOf(frameWriter(), { reads: asked, ...(known > 0 && { known }) })
        return ask({ method: 'POST', body }, answerOf<ReadAnswer>, false, signal)
      }
      return readInPieces(reads, askPiece, limits.answerBytes)
    },
    async commit(request, { signal } = {}) {
      const writer = frameWriter()
      const body = bodyOf(writer, mapRequest(request, writer.value))
      return ask({ method: 'POST', body }, answerOf<CommitAnswer>, true, signal)
    },
    async close() {
      const open = underWay
      underWay = undefined
      for (const controller of open ?? []) controller.abort()
    },
  }
}

type Init = Omit<RemoteRequest, 'headers' | 'signal'>

/** One call, and all attempts at it. */
interface Call<T> {
  readonly init: Init
  /** Decodes the answer. Throws if it is malformed. */
  readonly take: (frame: Frame) => T
  readonly isCommit: boolean
  readonly signal: AbortSignal | undefined
  /** The calls under way when it started. A different set means that the driver was closed meanwhile. */
  readonly calls: Set<AbortController>
  /** Whether no more attempts may be made. */
  isOver(): boolean
}

const closed = (ambiguous: boolean): HoldfastError => new HoldfastError('CLOSED', 'The driver is closed', { ambiguous })

/** Decodes an answer. Throws if it is malformed or incomplete, so it counts as lost. */
const answerOf = <A extends ReadAnswer | CommitAnswer>({ message, value }: Frame): A => mapAnswer(message as A, value)

const greetingOf = ({ message }: Frame): Greeting => message as Greeting

/** A server's report about itself. */
interface Greeting {
  readonly version: number
  readonly capabilities: Capabilities
}

/** @throws `UNSUPPORTED` if the server speaks another version, or offers less than declared */
function requireEnough({ version, capabilities: theirs }: Greeting, ours: Capabilities): void {
  if (version !== VERSION) throw new HoldfastError('UNSUPPORTED', `The version must be ${VERSION}, not ${version}`)
  const less = (Object.keys(ours.limits) as (keyof Limits)[]).find((name) =>
    name === 'keyOverhead' || name === 'valueOverhead'
      ? (theirs.limits[name] ?? 0) > ours.limits[name]!
      : theirs.limits[name] < ours.limits[name],
  )
  const lacking =
    less ??
    (theirs.replayWindow < ours.replayWindow
      ? 'replayWindow'
      : LEVELS.indexOf(theirs.durability) < LEVELS.indexOf(ours.durability)
        ? 'durability'
        : theirs.reads !== 'strict' && ours.reads === 'strict'
          ? 'reads'
          : undefined)
  if (lacking) {
    throw new HoldfastError('UNSUPPORTED', `The server offers less than the option capabilities declares: ${lacking}`, {
      details: { lacking },
    })
  }
}

/** The wait in `Retry-After`, which is seconds or a date, in milliseconds. */
function pauseOf(header: string | null | undefined): number | undefined {
  if (header === null || header === undefined) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
