/**
 * The Redis driver: Upstash over HTTP, or any Redis from 6.2 through a client that can send a command.
 *
 * A request is one call of one Lua script, in one round trip. The server's clock judges expiry. The result of a request
 * is kept for a while, so that a request whose answer was lost can be repeated safely. See `script.ts`.
 *
 * @module
 */
import { abortable } from '../../core/abort.ts'
import { requireInteger } from '../../core/arguments.ts'
import { MAX_TIMER } from '../../core/clock.ts'
import type {
  Capabilities,
  CommitAnswer,
  CommitRequest,
  Driver,
  Durability,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { HoldfastError, invalid, isHoldfastError } from '../../core/errors.ts'
import { type CallTerms, type Reply, callsOver, longestCall } from './calls.ts'
import { type RedisHandle, type UpstashClient, linkOf } from './client.ts'
import {
  type Greeting,
  type Raw,
  LATER,
  asRaw,
  decodeAnswer,
  decodeGreeting,
  decodeOutcomes,
  decodeReply,
  digestOf,
  merged,
  policyIn,
} from './decode.ts'
import { type Arguments, LIMITS, encodeCommit, encodeOpen, encodeRead, namesOf } from './encode.ts'
import { SCHEMA_VERSION } from './script.ts'
import { requireOpen } from '../shared/require-open.ts'

export type { RedisHandle, UpstashClient } from './client.ts'

/** Options of {@link upstash}. */
export interface UpstashOptions {
  /** A client of `@upstash/redis`, or an object that sends commands through another client. It stays open. */
  readonly redis: UpstashClient | RedisHandle
  /**
   * The prefix of all keys of this database, used in braces: 1 to 64 letters, digits, `_`, `.` and `-`; `holdfast` by
   * default. Databases in different namespaces share nothing. In a cluster, all keys of a namespace are in one slot.
   */
  readonly namespace?: string
  /**
   * The failures that an answered commit survives. By default `strict` over Upstash, which writes to disk and to
   * replicas, and `relaxed` otherwise. A Redis with `appendfsync always` is `strict`.
   */
  readonly durability?: Durability
  /** How long a repeated request is recognised, in milliseconds from 1000; 2 minutes by default. */
  readonly replayWindow?: number
  /** How long to wait for an answer before repeating the request, in milliseconds from 1; 10 000 by default. */
  readonly timeout?: number
  /**
   * How often to repeat a request if an answer was lost or the server accepts no commands; 8 times by default. No
   * request is repeated after half of the `replayWindow`, or after the deadline of a commit.
   */
  readonly retries?: number
  /**
   * Whether the server may evict keys when its memory is full. Entries and records of requests then get lost without an
   * error. `false` by default: a server whose `maxmemory-policy` evicts keys is refused with `UNSUPPORTED`, unless it
   * does not report its policy.
   */
  readonly allowEviction?: boolean
}

const CAPABILITIES: Omit<Capabilities, 'durability' | 'replayWindow' | 'timeout'> = {
  writers: 'many',
  // Scripts run where they can write: at the primary.
  reads: 'strict',
  clock: 'shared',
  network: true,
  limits: LIMITS,
}

/** Extra rounds of a read, in which data may change, before it is given up. */
const SPARE_ROUNDS = 20

/**
 * Makes a driver over Redis.
 *
 * @param options - the client, and optional settings
 * @returns a driver; it contacts the server at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { Redis } from '@upstash/redis'
 * import { createHoldfast } from 'holdfast'
 * import { upstash } from 'holdfast/upstash'
 *
 * const holdfast = createHoldfast({ driver: upstash({ redis: Redis.fromEnv() }) })
 * ```
 */
export function upstash(options: UpstashOptions): Driver {
  const { redis, namespace = 'holdfast', replayWindow = 120_000, timeout = 10_000, retries = 8 } = options
  if (!/^[\w.-]{1,64}$/.test(namespace))
    throw invalid(`namespace must be 1 to 64 letters, digits, _, . and -, not ${namespace}`)
  requireInteger(replayWindow, 'replayWindow', 1000)
  requireInteger(timeout, 'timeout', 1, MAX_TIMER)
  requireInteger(retries, 'retries')
  const link = linkOf(redis)
  const { durability = link.isUpstash ? 'strict' : 'relaxed' } = options
  if (durability !== 'strict' && durability !== 'relaxed')
    throw invalid(`durability must be strict or relaxed, not ${String(durability)}`)
  const names = namesOf(namespace)
  const calls = callsOver(link, { timeout, retries })
  /** Repeats arrive while the first attempt's record is kept. */
  const patience = replayWindow / 2
  let opening: Promise<void> | undefined
  let isOpen = false
  /** Whether server and database were checked. */
  let isChecked = false
  /** The server's clock minus the monotonic one of this process, once a reply has brought it. */
  let offset: number | undefined

  function heard<T extends { readonly now: number }>(reply: T): T {
    offset = reply.now - performance.now()
    return reply
  }

  const readTerms = (signal: AbortSignal | undefined): CallTerms => ({ changes: false, patience, signal })

  function commitTerms({ deadline }: CommitRequest, signal: AbortSignal | undefined): CallTerms {
    const left = deadline === undefined || offset === undefined ? patience : deadline - offset - performance.now()
    return { changes: true, patience: Math.min(left, patience), signal }
  }

  function requireRight({ state, version, policy }: Greeting): void {
    if (state === 'old') throw new HoldfastError('UNSUPPORTED', 'The server must be Redis 6.2 or newer')
    requireNoEviction(policy)
    if (state === 'ok' && version !== String(SCHEMA_VERSION)) {
      throw new HoldfastError(
        'SCHEMA',
        `The database has schema version ${version}, but this release supports only ${SCHEMA_VERSION}`,
      )
    }
  }

  /** The eviction policy from a command of its own, for servers that do not tell it to scripts. */
  async function policy(signal: AbortSignal | undefined): Promise<string> {
    try {
      return policyIn((await calls.ask(['INFO', 'memory'], readTerms(signal))).raw)
    } catch (cause) {
      // Many hosted servers do not reveal their settings.
      if (isHoldfastError(cause) && ['UNAUTHORIZED', 'UNSUPPORTED', 'BACKEND'].includes(cause.code)) return ''
      throw cause
    }
  }

  /** Makes the first call: it checks the server, creates the schema, and brings the script. */
  async function introduce(args: Arguments | undefined, terms: CallTerms): Promise<Reply> {
    const ask = async (mayEvict: boolean): Promise<Reply & { readonly state: Greeting['state'] }> => {
      const { raw, repeated } = await calls.introduce(encodeOpen(names, mayEvict, args), terms)
      const { greeting, rest } = decodeGreeting(raw)
      requireRight(greeting)
      return { raw: rest, repeated, state: greeting.state }
    }
    let reply = await ask(options.allowEviction === true)
    if (reply.state === 'wait') {
      requireNoEviction(await policy(terms.signal))
      reply = await ask(true)
    }
    isChecked = true
    return reply
  }

  const call = (args: Arguments, terms: CallTerms): Promise<Reply> =>
    isChecked ? calls.call(args, terms) : introduce(args, terms)

  async function connect(): Promise<void> {
    const { raw } = await introduce(undefined, readTerms(undefined))
    heard(decodeReply(raw, 0))
  }

  /** Opens once for all concurrent callers. One caller that gives up does not stop it for the others. */
  function connecting(): Promise<void> {
    const own = connect()
    own.catch(() => {
      if (opening === own) opening = undefined
    })
    return own
  }

  /**
   * Takes one round in most cases. If one answer cannot hold everything, asks again until an answer confirms all the
   * rest.
   */
  async function ask(reads: readonly Read[], signal: AbortSignal | undefined): Promise<ReadAnswer> {
    let raws: (Raw | undefined)[] = []
    for (let round = 0; round < reads.length + SPARE_ROUNDS || round === 0; round++) {
      const questions = reads.map((read, i) => narrowed(read, raws[i]))
      const known = reads.map((_, i) => digestOf(raws[i]))
      const { raw } = await call(encodeRead(questions, names, known), readTerms(signal))
      const { now, answers } = heard(decodeReply(raw, reads.length))
      const before = raws
      raws = answers.map((answer, i) => merged(asRaw(answer), before[i]))
      if (!raws.includes(LATER)) return { now, answers: reads.map((read, i) => decodeAnswer(read, raws[i]!, reads)) }
      // Names of parts have a room of their own, of the same size in every round.
      if (raws.some((it, i) => it === LATER && 'parts' in reads[i]!)) {
        throw new HoldfastError(
          'PAYLOAD_TOO_LARGE',
          'The names of the parts do not fit into one answer; ask for fewer at once',
        )
      }
    }
    throw new HoldfastError('UNAVAILABLE', 'The entries change faster than they can be read; ask for less at once', {
      retryable: true,
    })
  }

  async function commit(request: CommitRequest, signal: AbortSignal | undefined): Promise<CommitAnswer> {
    const { raw, repeated } = await call(encodeCommit(request, names, replayWindow), commitTerms(request, signal))
    const { now } = heard(decodeReply(raw))
    return { now, outcomes: decodeOutcomes(request, raw, repeated) }
  }

  return {
    name: link.name,
    capabilities: {
      ...CAPABILITIES,
      durability,
      replayWindow,
      timeout: longestCall({ timeout, retries }, patience),
    },
    async open({ signal, ahead = false } = {}) {
      if (!ahead) {
        const own = (opening ??= connecting())
        await abortable(own, signal)
        if (opening !== own) throw new HoldfastError('CLOSED', 'The database was closed while it was being opened')
      }
      isOpen = true
    },
    async read(reads, { signal } = {}) {
      requireOpen(isOpen)
      return ask(reads, signal)
    },
    async commit(request, { signal } = {}) {
      requireOpen(isOpen)
      return commit(request, signal)
    },
    async close() {
      opening = undefined
      isChecked = false
      isOpen = false
    },
  }
}

/** Keeps a page that was cut for its size at that length. A page that found no room asks for one entry. */
function narrowed(read: Read, raw: Raw | undefined): Read {
  if (!('range' in read) || raw === undefined) return read
  if (raw === LATER) return { range: { ...read.range, limit: 1 } }
  return raw[0] === '1' ? { range: { ...read.range, limit: (raw.length - 1) / 2 } } : read
}

function requireNoEviction(policy: string): void {
  if (policy === '' || policy === 'noeviction') return
  throw new HoldfastError(
    'UNSUPPORTED',
    `The server may evict keys, because its maxmemory-policy is ${policy}, and entries would get lost without an error; ` +
      'set maxmemory-policy noeviction, at Upstash turn Eviction off, or accept it by allowEviction',
    { details: { policy } },
  )
}
