/**
 * The Redis driver: Upstash over HTTP, or any Redis from 6.2 on through a client that can send a command.
 *
 * A request is one call of one Lua script, in one round trip; the server's clock judges expiry, and what became of a
 * request is kept for a while, so that one whose answer was lost is repeated without harm. See `script.ts`.
 *
 * @module
 */
import { requireInteger } from '../../core/arguments.ts'
import type {
  Capabilities,
  CommitAnswer,
  CommitRequest,
  Driver,
  Durability,
  Entry,
  Key,
  Outcome,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { NETWORK_LIMITS } from '../../core/limits.ts'
import { type Reply, callsOver } from './calls.ts'
import { type RedisHandle, type UpstashClient, linkOf } from './client.ts'
import {
  type Greeting,
  type Raw,
  LATER,
  asRaw,
  decodeAnswer,
  decodeGreeting,
  decodeOutcome,
  decodeReply,
  digestOf,
  merged,
} from './decode.ts'
import { type Arguments, encodeCommit, encodeOpen, encodeRead, namesOf } from './encode.ts'
import { SCHEMA_VERSION } from './script.ts'

export type { RedisHandle, UpstashClient } from './client.ts'

/** Options of {@link upstash}. */
export interface UpstashOptions {
  /** A client of `@upstash/redis`, or an object that sends a command through another client. It stays open. */
  readonly redis: UpstashClient | RedisHandle
  /**
   * What the keys of this database begin with, in braces: 1 to 64 letters, digits, `_`, `.` and `-`; `holdfast` by
   * default. Databases of different namespaces share nothing. In a cluster all keys of a namespace are in one slot.
   */
  readonly namespace?: string
  /**
   * What an answered commit survives. By default `strict` over Upstash, which writes to disk and to replicas, and
   * `relaxed` elsewhere; a Redis with `appendfsync always` is `strict`.
   */
  readonly durability?: Durability
  /** How long a repeated request is recognised, in milliseconds from 1000; 2 minutes by default. */
  readonly replayWindow?: number
  /** How long to wait for an answer before asking again, in milliseconds from 1; 10 000 by default. */
  readonly timeout?: number
  /** How often to ask again when an answer was lost or the server takes no commands; 8 times by default. */
  readonly retries?: number
  /**
   * Told when the server is set to evict keys as its memory fills, which loses entries that were committed: `policy` is
   * its `maxmemory-policy`. Nothing is logged by itself. Servers that keep their settings to themselves cannot be seen.
   */
  readonly onEviction?: (policy: string) => void
}

const CAPABILITIES: Omit<Capabilities, 'durability' | 'replayWindow'> = {
  writers: 'many',
  // A script runs where it can write: at the primary.
  reads: 'strict',
  clock: 'shared',
  network: true,
  // A request and an answer of Upstash are 10 MB at most, of which Base64 leaves three quarters.
  limits: NETWORK_LIMITS,
}

/** When asked often enough, what changes between two answers has had its chance. */
const SPARE_ROUNDS = 20

/**
 * Makes a driver over Redis.
 *
 * @param options - the client, and what to do differently
 * @returns a driver; it reaches for the server at the first call
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
  const { redis, namespace = 'holdfast', replayWindow = 120_000, timeout = 10_000, retries = 8, onEviction } = options
  if (!/^[\w.-]{1,64}$/.test(namespace)) throw invalid('namespace must be 1 to 64 letters, digits, _, . and -')
  requireInteger(replayWindow, 'replayWindow', 1000)
  requireInteger(timeout, 'timeout', 1, 2 ** 31 - 1)
  requireInteger(retries, 'retries')
  const link = linkOf(redis)
  const { durability = link.isUpstash ? 'strict' : 'relaxed' } = options
  if (durability !== 'strict' && durability !== 'relaxed') throw invalid('durability must be strict or relaxed')
  const names = namesOf(namespace)
  const calls = callsOver(link, { timeout, retries })
  let opening: Promise<void> | undefined
  let isOpen = false
  /** Whether the server and the database are known to be right. */
  let isKnown = false
  /** The server's clock minus the one of this process that no one sets. */
  let offset = 0

  function requireOpen(): void {
    if (!isOpen) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
  }

  function heard<T extends { readonly now: number }>(reply: T): T {
    offset = reply.now - performance.now()
    return reply
  }

  function greeted({ isOld, version, policy }: Greeting): void {
    if (isOld) throw new HoldfastError('UNSUPPORTED', 'The server must be Redis 6.2 or newer')
    if (version !== String(SCHEMA_VERSION)) {
      throw new HoldfastError('SCHEMA', `The database is of version ${version}, not ${SCHEMA_VERSION}`)
    }
    if (policy !== '' && policy !== 'noeviction') onEviction?.(policy)
    isKnown = true
  }

  async function connect(signal: AbortSignal | undefined): Promise<void> {
    const { raw } = await calls.introduce(encodeOpen(names), signal)
    const { greeting, rest } = decodeGreeting(raw)
    heard(decodeReply(rest, 0))
    greeted(greeting)
  }

  /** The first call asks along what opening would have asked, and brings the script. */
  async function call(args: Arguments, changes: boolean, signal: AbortSignal | undefined): Promise<Reply> {
    if (isKnown) return calls.call(args, changes, signal)
    const { raw, repeated } = await calls.introduce(encodeOpen(names, args), signal)
    const { greeting, rest } = decodeGreeting(raw)
    greeted(greeting)
    return { raw: rest, repeated }
  }

  /** Mostly one round. What one answer cannot hold is asked for again, until one says that all of it still holds. */
  async function ask(reads: readonly Read[], signal: AbortSignal | undefined): Promise<ReadAnswer> {
    let raws: (Raw | undefined)[] = []
    for (let round = 0; round < reads.length + SPARE_ROUNDS || round === 0; round++) {
      const questions = reads.map((read, i) => narrowed(read, raws[i]))
      const { raw } = await call(
        encodeRead(
          questions,
          names,
          reads.map((_, i) => digestOf(raws[i])),
        ),
        false,
        signal,
      )
      const { now, answers } = heard(decodeReply(raw, reads.length))
      const before = raws
      raws = answers.map((answer, i) => merged(asRaw(answer), before[i]))
      if (!raws.includes(LATER)) return { now, answers: reads.map((read, i) => decodeAnswer(read, raws[i]!)) }
    }
    throw new HoldfastError('UNAVAILABLE', 'What was asked for changes faster than it can be read; ask for less', {
      retryable: true,
    })
  }

  /** Sends a request until it is answered, or too late. */
  async function send(request: CommitRequest, signal: AbortSignal | undefined) {
    for (let isFirst = true; ; isFirst = false) {
      const deadline = Math.trunc(offset + performance.now() + replayWindow / 2)
      const { raw, repeated } = await call(encodeCommit(request, names, deadline, replayWindow), true, signal)
      const reply = heard(decodeReply(raw))
      if (reply.answers[0] !== 'late') return reply
      // Refused as a repeat that comes too late. It is a first attempt all the same where this process has slept.
      if (isFirst && !repeated) continue
      const why = repeated
        ? 'The answer was lost, and it is too late to ask again'
        : 'Requests arrive too late to be safe'
      throw new HoldfastError('UNAVAILABLE', `${why}; a longer replayWindow gives them more time`, {
        retryable: true,
        ambiguous: repeated,
      })
    }
  }

  /** What failed checks found, where the answer had no room for it. */
  async function find(keys: readonly Key[], signal: AbortSignal | undefined): Promise<(key: Key) => Entry | null> {
    const found = new Map<Key, Entry | null>()
    const { answers } = await ask(
      keys.map((get) => ({ get })),
      signal,
    )
    keys.forEach((key, i) => found.set(key, answers[i] as Entry | null))
    return (key) => found.get(key) ?? null
  }

  async function judged(
    { commits }: CommitRequest,
    { now, answers }: ReturnType<typeof decodeReply>,
    signal: AbortSignal | undefined,
  ): Promise<CommitAnswer> {
    if (answers.length !== commits.length) decodeReply([], commits.length)
    const decoded = (find: (key: Key) => Entry | null): Outcome[] =>
      commits.map((it, i) => decodeOutcome(it, asRaw(answers[i]), find))
    const missing: Key[] = []
    const outcomes = decoded((key) => (missing.push(key), null))
    return { now, outcomes: missing.length === 0 ? outcomes : decoded(await find(missing, signal)) }
  }

  /**
   * The checks of a request alone, along with the opening: by when the request itself has to arrive cannot be said
   * before the server's clock was heard. Where nothing would take effect, that is the answer to the request, too.
   */
  async function rehearse(request: CommitRequest, signal: AbortSignal | undefined): Promise<CommitAnswer | undefined> {
    const commits = request.commits.map((it) => ({ ...it, ops: [] }))
    const checks = { id: `${request.id}?`, commits }
    const { raw } = await call(encodeCommit(checks, names, Number.MAX_SAFE_INTEGER, replayWindow), false, signal)
    const answer = await judged(checks, heard(decodeReply(raw)), signal)
    const isNothing = answer.outcomes.every(({ ok }, i) => !ok || request.commits[i]!.ops.length === 0)
    return isNothing ? answer : undefined
  }

  async function commit(request: CommitRequest, signal: AbortSignal | undefined): Promise<CommitAnswer> {
    const rehearsed = isKnown ? undefined : await rehearse(request, signal)
    return rehearsed ?? judged(request, await send(request, signal), signal)
  }

  return {
    name: link.name,
    capabilities: { ...CAPABILITIES, durability, replayWindow },
    async open({ signal, ahead = false } = {}) {
      if (!ahead) {
        opening ??= connect(signal)
        try {
          await opening
        } catch (cause) {
          opening = undefined
          throw cause
        }
      }
      isOpen = true
    },
    async read(reads, { signal } = {}) {
      requireOpen()
      return ask(reads, signal)
    },
    async commit(request, { signal } = {}) {
      requireOpen()
      return commit(request, signal)
    },
    async close() {
      opening = undefined
      isKnown = false
      isOpen = false
    },
  }
}

/** A page that was cut short for its size is as long from then on. */
function narrowed(read: Read, raw: Raw | undefined): Read {
  if (!('range' in read) || typeof raw !== 'object' || raw[0] !== '1') return read
  return { range: { ...read.range, limit: (raw.length - 1) / 2 } }
}
