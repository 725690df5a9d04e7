/** Sends the script and repeats it while that makes sense. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import { HoldfastError } from '../../core/errors.ts'
import { utf8Bytes } from '../../core/keys.ts'
import type { Link } from './client.ts'
import { type Arguments, MAX_BYTES } from './encode.ts'
import { errorOf, type Fault, faultOf, saidBy } from './faults.ts'
import { LOCKING, PLAIN, type Script } from './script.ts'

/** How long to wait, and how often to repeat. */
export interface CallsOptions {
  readonly timeout: number
  readonly retries: number
}

/** The terms of one call. */
export interface CallTerms {
  /** Whether the call may change something. If so, an unknown outcome is `ambiguous`. */
  readonly changes: boolean
  /** How long after the first attempt another one may start, in milliseconds. */
  readonly patience: number
  readonly signal: AbortSignal | undefined
}

/** The reply to a call, and whether an earlier attempt may have been executed as well. */
export interface Reply {
  readonly raw: unknown
  readonly repeated: boolean
}

/** Calls the script. Every method throws the error that {@link errorOf} makes of the last fault. */
export interface Calls {
  /** Sends the whole script, so that the server knows it afterwards. */
  introduce(args: Arguments, terms: CallTerms): Promise<Reply>
  call(args: Arguments, terms: CallTerms): Promise<Reply>
  /** Sends another command. */
  ask(command: string[], terms: CallTerms): Promise<Reply>
}

/** A request with fewer characters is always within the limit of Upstash: JSON needs at most six bytes for one. */
const SMALL_REQUEST = MAX_BYTES / 8
/** The most bytes of a request besides the script, keys and arguments. */
const FRAME_BYTES = 1000
/** The first and the longest wait between attempts, in milliseconds. */
const BACKOFF = 25
const LONGEST_BACKOFF = 500

/** The longest that a call can take, in milliseconds. */
export const longestCall = ({ timeout, retries }: CallsOptions, patience: number): number =>
  Math.min((retries + 1) * timeout + retries * LONGEST_BACKOFF, patience + timeout)

/** Makes calls over a link. */
export function callsOver(link: Link, { timeout, retries }: CallsOptions): Calls {
  let script: Script = link.isUpstash ? LOCKING : PLAIN

  /** Sends a command and waits for the answer until a moment on the monotonic clock. */
  function send(command: string[], until: number): Promise<unknown> {
    const left = until - performance.now()
    // Too late, as after the process was suspended: nothing more is sent.
    if (left <= 0) return Promise.reject(new Error('No answer in time'))
    return inTime(link.send(command), left)
  }

  /** Makes one attempt: one command, and one more if the server does not know the script. */
  async function evaluate(args: Arguments, command: 'EVAL' | 'EVALSHA', until: number): Promise<unknown> {
    const body = command === 'EVAL' ? script.source : script.sha
    try {
      return await send([command, body, String(args.keys.length), ...args.keys, ...args.args], until)
    } catch (cause) {
      const said = saidBy(cause)
      if (script === LOCKING && /unexpected flag/i.test(said)) {
        script = PLAIN
        return evaluate(args, command, until)
      }
      if (command === 'EVALSHA' && /noscript/i.test(said)) return evaluate(args, 'EVAL', until)
      throw cause
    }
  }

  async function repeat(
    attempt: (until: number) => Promise<unknown>,
    { changes, patience, signal }: CallTerms,
  ): Promise<Reply> {
    const begun = performance.now()
    const isOver = (): boolean => performance.now() - begun >= patience
    let repeated = false
    for (let tried = 0; ; tried++) {
      let fault: Fault
      try {
        return { raw: await abortable(attempt(performance.now() + timeout), signal, changes), repeated }
      } catch (cause) {
        if (signal?.aborted) throw cause
        fault = faultOf(cause)
      }
      repeated ||= fault.unknown
      const isLast = !fault.again || tried === retries || isOver()
      if (!isLast) await abortable(sleep(backoff(tried)), signal, changes && repeated)
      // Check again: the process may have been suspended meanwhile.
      if (isLast || isOver()) throw errorOf(fault, changes && repeated)
    }
  }

  async function run(args: Arguments, command: 'EVAL' | 'EVALSHA', terms: CallTerms): Promise<Reply> {
    requireSendable(args, script)
    return repeat((until) => evaluate(args, command, until), terms)
  }

  return {
    introduce: (args, terms) => run(args, 'EVAL', terms),
    call: (args, terms) => run(args, 'EVALSHA', terms),
    ask: (command, terms) => repeat((until) => send(command, until), terms),
  }
}

/** The wait, shortened at random by up to half, so that clients that failed together do not return together. */
const backoff = (tried: number): number => Math.min(BACKOFF * 2 ** tried, LONGEST_BACKOFF) * (0.5 + Math.random() / 2)

/** Refuses a request that is too large as JSON together with the script, which a server that forgot it needs again. */
function requireSendable({ keys, args }: Arguments, { source }: Script): void {
  const texts = [...keys, ...args]
  if (texts.reduce((sum, text) => sum + text.length + 3, 0) < SMALL_REQUEST) return
  const size = utf8Bytes(JSON.stringify([source, ...texts])) + FRAME_BYTES
  if (size <= MAX_BYTES) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `A request must be at most ${MAX_BYTES} bytes of JSON, not ${size}`, {
    details: { limit: 'requestBytes', most: MAX_BYTES, size },
  })
}
