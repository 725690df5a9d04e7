/** One call of the script, repeated until it is answered or there is no point. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import { HoldfastError } from '../../core/errors.ts'
import { utf8Bytes } from '../../core/keys.ts'
import type { Link } from './client.ts'
import { type Arguments, MOST_BYTES } from './encode.ts'
import { errorOf, type Fault, faultOf, saidBy } from './faults.ts'
import { LOCKING, PLAIN, type Script } from './script.ts'

/** How long to wait, and how often to try. */
export interface CallsOptions {
  readonly timeout: number
  readonly retries: number
}

/** What one call is about. */
export interface CallTerms {
  /** Whether the call may change something: then an unknown outcome is `ambiguous`. */
  readonly changes: boolean
  /** How long after the first attempt another one may begin, in milliseconds. */
  readonly patience: number
  readonly signal: AbortSignal | undefined
}

/** What became of a call: its reply, and whether an attempt before may have been executed as well. */
export interface Reply {
  readonly raw: unknown
  readonly repeated: boolean
}

/** Calls the script; every method throws what {@link errorOf} makes of the last fault. */
export interface Calls {
  /** Sends the whole script, so that the server knows it from then on. */
  introduce(args: Arguments, terms: CallTerms): Promise<Reply>
  call(args: Arguments, terms: CallTerms): Promise<Reply>
  /** Sends another command. */
  ask(command: string[], terms: CallTerms): Promise<Reply>
}

/** Requests of fewer characters cannot come near what Upstash takes: JSON writes at most six for one. */
const FEW = MOST_BYTES / 8
/** What a request holds besides the script, keys and arguments, at most. */
const FRAME_BYTES = 1000
/** Waits between attempts, in milliseconds: at first, and at most. */
const BACKOFF = 25
const LONGEST_BACKOFF = 500

/** How long a call takes at most, in milliseconds. */
export const longestCall = ({ timeout, retries }: CallsOptions, patience: number): number =>
  Math.min((retries + 1) * timeout + retries * LONGEST_BACKOFF, patience + timeout)

/** Makes calls over a link. */
export function callsOver(link: Link, { timeout, retries }: CallsOptions): Calls {
  let script: Script = link.isUpstash ? LOCKING : PLAIN

  /** Sends a command whose answer is waited for until then, on the clock that no one sets. */
  function send(command: string[], until: number): Promise<unknown> {
    const left = until - performance.now()
    // As late as after a process was stopped, nothing more is sent.
    if (left <= 0) return Promise.reject(new Error('No answer in time'))
    return inTime(link.send(command), left)
  }

  /** One attempt: one command, and one more where the server does not know the script. */
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
      // Asked again: a process may have been stopped meanwhile.
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

/** Half of it by chance, so that those who failed together do not come back together. */
const backoff = (tried: number): number => Math.min(BACKOFF * 2 ** tried, LONGEST_BACKOFF) * (0.5 + Math.random() / 2)

/** Refuses what is too large once it is JSON, with the script: a server that has forgotten it wants it again. */
function requireSendable({ keys, args }: Arguments, { source }: Script): void {
  const texts = [...keys, ...args]
  if (texts.reduce((sum, text) => sum + text.length + 3, 0) < FEW) return
  const size = utf8Bytes(JSON.stringify([source, ...texts])) + FRAME_BYTES
  if (size <= MOST_BYTES) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `A request must be at most ${MOST_BYTES} bytes of JSON, not ${size}`, {
    details: { limit: 'requestBytes', most: MOST_BYTES, size },
  })
}
