/** One call of the script, repeated until it is answered or there is no point. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import { HoldfastError } from '../../core/errors.ts'
import { utf8Bytes } from '../../core/keys.ts'
import type { Link } from './client.ts'
import type { Arguments } from './encode.ts'
import { errorOf, type Fault, faultOf, saidBy } from './faults.ts'
import { LOCKING, PLAIN, type Script } from './script.ts'

/** How long to wait, and how often to try. */
export interface CallsOptions {
  readonly timeout: number
  readonly retries: number
}

/** What became of a call: its reply, and whether an attempt before may have been executed as well. */
export interface Reply {
  readonly raw: unknown
  readonly repeated: boolean
}

/** Calls the script. */
export interface Calls {
  /** Sends the whole script, so that the server knows it from then on. */
  introduce(args: Arguments, signal: AbortSignal | undefined): Promise<Reply>
  /** @throws what {@link errorOf} makes of the last fault; `ambiguous` where `changes` and an outcome is unknown */
  call(args: Arguments, changes: boolean, signal: AbortSignal | undefined): Promise<Reply>
}

/** What Upstash takes of a request, in bytes of JSON. */
const MOST_BYTES = 10_000_000
/** Requests of fewer characters cannot come near it: JSON writes at most six for one. */
const FEW = MOST_BYTES / 6
/** Waits between attempts, in milliseconds: at first, and at most. */
const BACKOFF = 25
const LONGEST_BACKOFF = 500

/** Makes calls over a link. */
export function callsOver(link: Link, { timeout, retries }: CallsOptions): Calls {
  let script: Script = link.isUpstash ? LOCKING : PLAIN

  const evaluate = ({ keys, args }: Arguments, command: 'EVAL' | 'EVALSHA'): Promise<unknown> => {
    const body = command === 'EVAL' ? script.source : script.sha
    return inTime(link.send([command, body, String(keys.length), ...keys, ...args]), timeout)
  }

  /** One attempt: one command, and one more where the server does not know the script. */
  async function attempt(args: Arguments, command: 'EVAL' | 'EVALSHA'): Promise<unknown> {
    try {
      return await evaluate(args, command)
    } catch (cause) {
      const said = saidBy(cause)
      if (script === LOCKING && /unexpected flag/i.test(said)) {
        script = PLAIN
        return attempt(args, command)
      }
      if (command === 'EVALSHA' && /noscript/i.test(said)) return attempt(args, 'EVAL')
      throw cause
    }
  }

  async function repeat(
    args: Arguments,
    command: 'EVAL' | 'EVALSHA',
    changes: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    requireSendable(args)
    let repeated = false
    for (let tried = 0; ; tried++) {
      let fault: Fault
      try {
        return { raw: await abortable(attempt(args, command), signal, changes), repeated }
      } catch (cause) {
        if (signal?.aborted) throw cause
        fault = faultOf(cause)
      }
      repeated ||= fault.unknown
      if (!fault.again || tried === retries) throw errorOf(fault, changes && repeated)
      await abortable(sleep(backoff(tried)), signal, changes && repeated)
    }
  }

  return {
    introduce: (args, signal) => repeat(args, 'EVAL', false, signal),
    call: (args, changes, signal) => repeat(args, 'EVALSHA', changes, signal),
  }
}

/** Half of it by chance, so that those who failed together do not come back together. */
const backoff = (tried: number): number => Math.min(BACKOFF * 2 ** tried, LONGEST_BACKOFF) * (0.5 + Math.random() / 2)

function requireSendable({ keys, args }: Arguments): void {
  const texts = [...keys, ...args]
  if (texts.reduce((sum, text) => sum + text.length + 3, 0) < FEW) return
  const size = utf8Bytes(JSON.stringify(texts))
  if (size <= MOST_BYTES) return
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `A request must be at most ${MOST_BYTES} bytes of JSON, not ${size}`, {
    details: { limit: 'requestBytes', most: MOST_BYTES, size },
  })
}
