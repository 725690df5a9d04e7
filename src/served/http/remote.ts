/** The side of the HTTP protocol that uses a driver of the other. @module */
import { abortable, sleep } from '../../core/abort.ts'
import { requireInteger } from '../../core/arguments.ts'
import { systemClock } from '../../core/clock.ts'
import type { Capabilities, CommitAnswer, Driver, Limits, Read, ReadAnswer } from '../../core/driver.ts'
import { HoldfastError, aborted, invalid, pauseAsked } from '../../core/errors.ts'
import { readInPieces } from '../../drivers/shared/split-reads.ts'
import { lateAt } from '../../core/requests.ts'
import { fromWireError, mapAnswer, mapRequest } from '../wire.ts'
import {
  CALLERS_KEY_OVERHEAD,
  type Frame,
  type FrameWriter,
  KEY_OVERHEAD,
  LIMITS,
  MEDIA_TYPE,
  REPLAY_WINDOW,
  VALUE_OVERHEAD,
  VERSION,
  bodyBytesOf,
  frameWriter,
  readFrame,
} from './frame.ts'

/** What is handed to `fetch`. */
export interface RemoteRequest {
  method: string
  headers: Record<string, string>
  body?: Uint8Array<ArrayBuffer>
  signal: AbortSignal
}

/** What is used of its answer. */
export interface RemoteResponse {
  readonly status: number
  readonly headers?:
    | {
        /** One by its name; `null` where it is not there. */
        get(name: string): string | null
      }
    | undefined
  /** The whole body. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** What the caller counts on; what is left out has its default. */
export interface RemoteCapabilities {
  /** `strict` by default. */
  readonly reads?: Capabilities['reads']
  /** `strict` by default. */
  readonly durability?: Capabilities['durability']
  /** In milliseconds; 120 seconds by default. All attempts at a request end within half of it. */
  readonly replayWindow?: number
  /**
   * By default 1 MiB a value, 4 MiB a request, 8 MiB an answer, 1000 of all else; a key counts 128 bytes besides, from
   * 32, and a value 32. A server for a tenant with a long name over a driver with small requests may want more for a key.
   */
  readonly limits?: Partial<Limits>
}

/** Options of {@link remote}. */
export interface RemoteOptions {
  /** Where the handler is; relative ones too, where `fetch` takes them. */
  readonly url: string
  /** Headers of every request, such as `authorization`; a function is called for each attempt. */
  readonly headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
  /** How requests are sent; the global `fetch` by default. */
  readonly fetch?: (url: string, init: RemoteRequest) => Promise<RemoteResponse>
  /** The longest that one attempt may take, in milliseconds from 1; 10 seconds by default. */
  readonly timeout?: number
  /** How often a request is sent at most, from 1; 4 by default. */
  readonly attempts?: number
  /** What the server can do, as far as the caller counts on it; opening refuses a server that offers less. */
  readonly capabilities?: RemoteCapabilities
  /** From 0 to 1, to spread attempts; `Math.random` by default. */
  readonly random?: () => number
  /** Milliseconds since any moment, by a clock that only goes forward; `performance.now` by default. */
  readonly monotonic?: () => number
}

/** Between two attempts, in milliseconds: up to the first, doubled each time, up to the last. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 2000
const LEVELS = ['none', 'relaxed', 'strict']

/**
 * Makes a driver that speaks to a handler over HTTP. What the other side has to do is {@link createHandler}.
 *
 * A request that got no answer is sent again, under its id, spread by chance and no sooner than `Retry-After` says, a
 * bounded number of times: the server recognises it, so a commit takes effect once. Half of the replay window after the
 * first attempt at a commit there is no other, also where the process was stopped meanwhile. When all attempts have
 * failed the error is `UNAVAILABLE`, `ambiguous` for a commit of which any attempt may have arrived.
 *
 * The capabilities are declared, so nothing is asked before the first call; opening compares them with the server's.
 *
 * @param options - where the handler is, how to get in, what to count on
 * @returns the driver
 * @throws `INVALID_ARGUMENT` for malformed options, and for attempts that could last longer than half of the replay window
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
  if (typeof url !== 'string' || url === '') throw invalid('url must be text')
  requireInteger(timeout, 'timeout', 1, 2 ** 31 - 1)
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
  // The other half is for the way: a request is good for half of the window from when it is made.
  const patience = replayWindow / 2
  if (capabilities.timeout! > patience) {
    throw invalid('All attempts together must end within half of the replay window')
  }
  /** The requests under way since the driver was opened; absent when closed. */
  let underWay: Set<AbortController> | undefined = new Set()

  /** Sends once; what it throws says whether another attempt may help. */
  async function attempt<T>({ init, take, isCommit, signal, calls, isOver }: Call<T>): Promise<T> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    const timer = setTimeout(stop, timeout)
    signal?.addEventListener('abort', stop)
    calls.add(controller)
    let isSent = false
    let status = 0
    let retryAfter: number | undefined
    let told: HoldfastError | undefined
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
      told = fromWireError((frame.message as { error?: unknown } | null)?.error)
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
    if (told) throw told
    if (signal?.aborted) throw aborted(signal, ambiguous)
    if (calls !== underWay) throw closed(ambiguous)
    // Somebody on the way refused it; not so where it may have gone further.
    const isRefused = status >= 400 && status < 500 && status !== 408
    throw new HoldfastError('UNAVAILABLE', 'No answer came that can be read', {
      cause,
      details: { status, ...(retryAfter !== undefined && { retryAfter }) },
      retryable: !isRefused || status === 429,
      ambiguous: ambiguous && !isRefused,
    })
  }

  /** Begins to wait for the end of half of the window. A machine that sleeps stops the one clock, and one that is set the other. */
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
        const { code, message, retryable, details, cause } = error
        isUnknown ||= error.ambiguous
        asked = pauseAsked(error)
        const isLast = code === 'ABORTED' || code === 'CLOSED' || lateAt(error) !== undefined || isOver()
        // Who wants to be left alone for longer is: the error says until when.
        if (retryable && !isLast && n < attempts && asked <= LONGEST_PAUSE) continue
        // An earlier attempt may have taken effect, whatever became of the last.
        throw error.ambiguous === isUnknown
          ? error
          : new HoldfastError(code, message, { retryable, details, cause, ambiguous: true })
      }
    }
  }

  /** The body of a request, refused where no server would take it. */
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

/** One call, however often it is sent. */
interface Call<T> {
  readonly init: Init
  /** Makes the answer of what came; throws for what is none. */
  readonly take: (frame: Frame) => T
  readonly isCommit: boolean
  readonly signal: AbortSignal | undefined
  /** Those that were under way when it began: others after the driver was closed. */
  readonly calls: Set<AbortController>
  /** Whether nothing may be sent any more. */
  isOver(): boolean
}

const closed = (ambiguous: boolean): HoldfastError => new HoldfastError('CLOSED', 'The driver is closed', { ambiguous })

/** Throws for what is none, and for values that did not come whole: it is as good as lost then. */
const answerOf = <A extends ReadAnswer | CommitAnswer>({ message, value }: Frame): A => mapAnswer(message as A, value)

const greetingOf = ({ message }: Frame): Greeting => message as Greeting

/** What a server says of itself. */
interface Greeting {
  readonly version: number
  readonly capabilities: Capabilities
}

/** @throws `UNSUPPORTED` for a server that speaks another version, or offers less than is counted on */
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
    throw new HoldfastError('UNSUPPORTED', `The server offers less than is counted on: ${lacking}`, {
      details: { lacking },
    })
  }
}

/** What `Retry-After` asks for, seconds or a date, in milliseconds. */
function pauseOf(header: string | null | undefined): number | undefined {
  if (header === null || header === undefined) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
