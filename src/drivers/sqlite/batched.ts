/**
 * SQLite behind a client that takes a list of statements as one transaction, and offers none that could be read in: D1 and
 * libSQL.
 *
 * A request is one batch, which is applied as a whole or not at all. The commits travel as JSON in one parameter, and
 * triggers judge them, see `d1-sql.ts`; values that are large travel as parameters of their own. Repeated requests are
 * recognised for ten minutes. Nothing is held between calls.
 *
 * @module
 */
import { writesOf } from '../../core/apply.ts'
import type {
  Answer,
  Capabilities,
  Commit,
  CommitAnswer,
  CommitRequest,
  Driver,
  Entry,
  FailedCheck,
  Outcome,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { abortable } from '../../core/abort.ts'
import { HoldfastError, aborted } from '../../core/errors.ts'
import { decodeNumber, under } from '../../core/keys.ts'
import { SWEEP } from '../../core/sweeps.ts'
import {
  ANSWERS,
  BEGIN,
  CLOCK,
  COMMITS,
  END,
  FIND_ADDED,
  PARTS,
  READ,
  STAGE,
  SWEEP_ENTRIES,
  upgradeFrom,
} from './d1-sql.ts'
import { encode, questionOf } from './d1-wire.ts'
import { toHoldfastError } from './errors.ts'
import { FIND_SCHEMA, FIND_VERSION, SCHEMA_VERSION, knownVersion } from './migrations.ts'

/** A statement and its parameters, `?1` being the first. */
export interface Statement {
  readonly sql: string
  readonly args: (string | number | null | Uint8Array)[]
}

/** A client of such a database. */
export interface Batches {
  /** The name of the driver. */
  readonly name: string
  /** What is said to be out of reach. */
  readonly title: string
  /** Runs statements as one transaction, and gives the rows of each: objects by the names of columns. */
  run(statements: Statement[], isWrite: boolean): Promise<readonly unknown[][]>
}

const REPLAY_WINDOW = 600_000

const CAPABILITIES: Capabilities = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'shared',
  network: true,
  replayWindow: REPLAY_WINDOW,
  limits: {
    // A row takes 2 MB, its key included.
    valueBytes: 1_900_000,
    requestBytes: 2 ** 23,
    commitKeys: 250,
    requestCommits: 1000,
    requestReads: 1000,
    rangeEntries: 1000,
    answerBytes: 2 ** 23,
  },
}

interface Row extends Omit<Entry, 'expiresAt' | 'value'> {
  readonly now: number
  readonly expires_at: number | null
  readonly value: string | number[] | ArrayBuffer
}

interface ReadRow extends Row {
  readonly i: number
}

interface AnswerRow extends Row {
  readonly n: number
  readonly item: number
  readonly seqs: string | null
  readonly last: number | null
}

/** Makes a driver over such a client; its tables are made when it is opened. */
export function batched({ name, title, run }: Batches): Driver {
  let isOpen = false

  async function send(statements: Statement[], signal?: AbortSignal, isWrite = false): Promise<readonly unknown[][]> {
    if (signal?.aborted) throw aborted(signal, false)
    try {
      return await abortable(run(statements, isWrite), signal)
    } catch (cause) {
      throw signal?.aborted ? aborted(signal, isWrite) : faultOf(cause, isWrite, title)
    }
  }

  /** The versions of the schema that all share, and of what is added here. */
  async function versionsOf(signal?: AbortSignal): Promise<{ version: number; added: number }> {
    const [[found] = []] = await send([statement(FIND_SCHEMA)], signal)
    if (found === undefined) return { version: 0, added: 0 }
    const [[row] = [], [own] = []] = await send([statement(FIND_VERSION), statement(FIND_ADDED)], signal)
    const version = knownVersion((row as { version: number }).version)
    return { version, added: own === undefined ? 0 : version }
  }

  async function migrate(signal?: AbortSignal): Promise<void> {
    const { version, added } = await versionsOf(signal)
    if (added === SCHEMA_VERSION) return
    try {
      await send(
        upgradeFrom(version, added).map((query) => statement(query)),
        signal,
      )
    } catch (cause) {
      // Somebody else may have done it meanwhile.
      if ((await versionsOf(signal)).added !== SCHEMA_VERSION) throw cause
    }
  }

  function requireOpen(): void {
    if (!isOpen) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
  }

  async function read(reads: readonly Read[], signal?: AbortSignal): Promise<ReadAnswer> {
    requireOpen()
    const pages = reads.map((it) => ('parts' in it ? [] : questionOf(it)))
    const parts = reads.flatMap((it) =>
      'parts' in it ? [statement(PARTS, it.parts.start, it.parts.end, it.parts.limit + 1)] : [],
    )
    const [time, rows, ...names] = await send(
      [statement(CLOCK), statement(READ, JSON.stringify(pages)), ...parts],
      signal,
    )
    const found = grouped(rows as ReadRow[], ({ i }) => i)
    const { now } = (rows![0] ?? time![0]) as Row
    const answers = reads.map((it, i) =>
      'parts' in it ? partPage(it.parts.limit, names.shift() as { name: string }[]) : answerOf(it, found.get(i) ?? []),
    )
    return { now, answers }
  }

  async function commit(request: CommitRequest, signal?: AbortSignal): Promise<CommitAnswer> {
    requireOpen()
    const { id, commits } = request
    const { bodies, staged } = encode(commits)
    const statements = [
      statement(SWEEP_ENTRIES, Math.max(SWEEP, writesOf(request))),
      statement(BEGIN, id),
      ...staged.map((value, n) => statement(STAGE, id, n, value)),
      ...bodies.map(({ first, json }) => statement(COMMITS, id, json, first)),
    ]
    const results = await send(
      [...statements, statement(ANSWERS, id), statement(END, id, commits.length, REPLAY_WINDOW)],
      signal,
      true,
    )
    const rows = results[statements.length] as AnswerRow[]
    const record = rows.find(({ n }) => n === -2)
    if (record !== undefined) return replayed(request, JSON.parse(record.seqs!) as RecordRow[], signal)
    return {
      now: rows.find(({ n }) => n === -1)!.last!,
      outcomes: outcomesOf(
        commits,
        rows.map((row) => [row.n, row.item, row.seqs && JSON.parse(row.seqs)]),
        (n, item) => {
          const row = rows.find((it) => it.n === n && it.item === item)!
          return 'log' in commits[n]!.checks[item]! ? { last: row.last! } : row.version === null ? null : toEntry(row)
        },
      ),
    }
  }

  /** The verdicts of the record, with what the failed checks would see now. */
  async function replayed(
    { commits }: CommitRequest,
    record: RecordRow[],
    signal?: AbortSignal,
  ): Promise<CommitAnswer> {
    const failed = record.filter(([n, item]) => n >= 0 && item >= 0)
    const { now, answers } = await read(
      failed.map(([n, item]) => {
        const check = commits[n]!.checks[item]!
        if ('at' in check) return { get: check.at }
        return { range: { part: check.log.part, ...under(check.log.key), limit: 1, reverse: true, keysOnly: true } }
      }),
      signal,
    )
    const outcomes = outcomesOf(commits, record, (n, item) => {
      const answer = answers[failed.findIndex((it) => it[0] === n && it[1] === item)]!
      if (answer === null || !('entries' in answer)) return answer as Entry | null
      return { last: answer.entries[0] ? decodeNumber(answer.entries[0].key) : 0 }
    })
    return { now, outcomes }
  }

  return {
    name,
    capabilities: CAPABILITIES,
    async open({ signal } = {}) {
      if (!isOpen) await migrate(signal)
      isOpen = true
    },
    read: (reads, { signal } = {}) => read(reads, signal),
    commit: (request, { signal } = {}) => commit(request, signal),
    async close() {
      isOpen = false
    },
  }
}

function answerOf(read: Exclude<Read, { parts: unknown }>, rows: readonly Row[]): Answer {
  if ('get' in read) return rows[0] ? toEntry(rows[0]) : null
  const { limit, reverse } = read.range
  const entries = rows.map(toEntry).toSorted((a, b) => (a.key < b.key === !reverse ? -1 : 1))
  return entries.length > limit ? { entries: entries.slice(0, limit), more: true } : { entries, more: false }
}

function partPage(limit: number, rows: readonly { name: string }[]): Answer {
  const parts = rows.map(({ name }) => name)
  return parts.length > limit ? { parts: parts.slice(0, limit), more: true } : { parts, more: false }
}

/** `[commit, -1, numbers]` for one that appended, `[commit, check, null]` for each check that did not hold. */
type RecordRow = readonly [n: number, item: number, seqs: readonly number[] | null]

function outcomesOf(
  commits: readonly Commit[],
  rows: readonly RecordRow[],
  currentOf: (n: number, item: number) => FailedCheck['current'],
): Outcome[] {
  const byCommit = grouped(rows, ([n]) => n)
  return commits.map((_, n) => {
    const own = byCommit.get(n) ?? []
    const failed = own.filter(([, item]) => item >= 0)
    if (failed.length === 0) return { ok: true, seqs: own[0]?.[2] ?? [] }
    return {
      ok: false,
      failed: failed
        .map(([, check]) => ({ check, current: currentOf(n, check) }))
        .toSorted((a, b) => a.check - b.check),
    }
  })
}

const toEntry = ({ key, version, expires_at, value }: Row): Entry => ({
  key,
  version,
  value: typeof value === 'string' ? value : new Uint8Array(value),
  expiresAt: expires_at,
})

function grouped<T>(rows: readonly T[], groupOf: (row: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const row of rows) {
    const group = groups.get(groupOf(row))
    if (group) group.push(row)
    else groups.set(groupOf(row), [row])
  }
  return groups
}

const statement = (sql: string, ...args: Statement['args']): Statement => ({ sql, args })

const UNREACHED =
  /network|connection|overloaded|timeout|timed out|reset|internal error|fetch failed|HTTP status (429|5\d\d)/i

/** What SQLite refused has changed nothing; of what was lost on the way nobody knows. */
function faultOf(cause: unknown, isWrite: boolean, title: string): HoldfastError {
  const said = String((cause as Error | null)?.message)
  if (said.includes('SQLITE_') || !UNREACHED.test(said)) return toHoldfastError(cause, isWrite)
  const message = `${title} cannot be reached or is overloaded; try again later`
  return new HoldfastError('UNAVAILABLE', message, { cause, retryable: true, ambiguous: isWrite })
}
