/**
 * SQLite through a client that runs a list of statements as one transaction, but has no interactive transactions: D1
 * and libSQL.
 *
 * A request is one batch, applied whole or not at all. The commits travel as JSON in one parameter and are evaluated by
 * triggers, see `d1-sql.ts`; large values travel as parameters of their own. Repeated requests are recognised for ten
 * minutes, so a batch whose answer was lost is sent again, see `attempts.ts`. Nothing is kept between calls.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import type {
  Answer,
  Capabilities,
  CommitAnswer,
  CommitRequest,
  Driver,
  Outcome,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { notALog } from '../../core/keys.ts'
import { type Room, entryBytes, roomFor } from '../../core/limits.ts'
import { readInPieces } from '../shared/split-reads.ts'
import { type RequestRecord, digestOf, late, reused } from '../../core/request-records.ts'
import { type Attempts, attempts, markedIfLost } from './attempts.ts'
import type { Batches, Statement } from './batch-client.ts'
import {
  ANSWERS,
  BEGIN,
  CLEAR,
  COMMITS,
  END,
  FIND_ADDED,
  NOT_A_LOG,
  PARTS,
  READ,
  STAGE,
  upgradeFrom,
} from './d1-sql.ts'
import { type EntryRow, type Question, encode, encodeReads, toCurrent, toEntry } from './d1-wire.ts'
import { FIND_SCHEMA, FIND_VERSION, SCHEMA_VERSION, knownVersion } from './migrations.ts'
import { requireOpen } from '../shared/require-open.ts'
import { partsOf } from './rows.ts'

/** How long to try a call, in milliseconds. */
export const DEFAULT_TIMEOUT = 15_000

const REPLAY_WINDOW = 600_000
/** The largest answer, as JSON text. A Worker has 128 MB of memory, and may wait for several answers. */
const ANSWER_BYTES: number = 2 ** 22

const CAPABILITIES: Capabilities = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'shared',
  network: true,
  replayWindow: REPLAY_WINDOW,
  limits: {
    // A row holds at most 2 MB, including its key.
    valueBytes: 1_900_000,
    requestBytes: 2 ** 23,
    commitKeys: 250,
    requestCommits: 1000,
    requestReads: 1000,
    rangeEntries: 1000,
    answerBytes: ANSWER_BYTES,
  },
}

interface ReadRow extends EntryRow {
  readonly now: number
  readonly i: number
  readonly fits: number
  readonly cut: number
}

interface AnswerRow extends EntryRow {
  readonly n: number
  readonly item: number
  readonly said: string | null
  readonly last: number | null
}

/** Creates a driver over such a client. It creates its tables when it is opened. */
export function batched({ name, title, timeout, run, fitness }: Batches): Driver {
  let isOpen = false
  const send: Attempts = attempts(run, title, timeout)
  const ask = async (statements: Statement[], signal?: AbortSignal): Promise<readonly unknown[][]> =>
    (await send(statements, false, signal)).rows

  /** The version of the shared schema, and whether the additions for these drivers match it. */
  async function versionOf(signal?: AbortSignal): Promise<{ version: number; isWhole: boolean }> {
    const [[found] = [], [fit] = []] = await ask(
      [statement(FIND_SCHEMA), ...(fitness ? [statement(fitness.sql)] : [])],
      signal,
    )
    fitness?.require(fit)
    if (found === undefined) return { version: 0, isWhole: false }
    const [[row] = [], [own] = []] = await ask([statement(FIND_VERSION), statement(FIND_ADDED)], signal)
    const version = knownVersion((row as { version: number }).version)
    return { version, isWhole: version === SCHEMA_VERSION && own !== undefined }
  }

  async function migrate(signal?: AbortSignal): Promise<void> {
    const { version, isWhole } = await versionOf(signal)
    if (isWhole) return
    try {
      await send(
        upgradeFrom(version).map((query) => statement(query)),
        true,
        signal,
      )
    } catch (cause) {
      // Another process may have migrated it meanwhile.
      if (!(await versionOf(signal)).isWhole) throw cause
    }
  }

  /** Answers the first questions, as many as fit into one answer. */
  async function readPiece(
    reads: readonly Read[],
    known: number,
    room: Room,
    signal?: AbortSignal,
  ): Promise<ReadAnswer> {
    const pages = reads.filter((read): read is Question => !('parts' in read))
    const bodies = encodeReads(pages, reads.slice(0, known).filter((read) => !('parts' in read)).length)
    const lists = reads.flatMap((read) => ('parts' in read ? [read.parts] : []))
    // The statements of a batch cannot see each other's results, so each gets its share of the room.
    const share = Math.floor(ANSWER_BYTES / (bodies.length + lists.length))
    const found = await ask(
      [
        ...bodies.map(({ json }) => statement(READ, json, Math.floor(room.left / bodies.length), share)),
        ...lists.map(({ start, end, limit }) => statement(PARTS, start, end, limit + 1, share)),
      ],
      signal,
    )
    const [[{ now }]] = found as [[ReadRow]]
    const names = found.slice(bodies.length) as { name: string }[][]
    const groups: ReadRow[][] = pages.map(() => [])
    let cut = pages.length
    bodies.forEach(({ first }, b) => {
      for (const row of (found[b] as ReadRow[]).slice(1)) {
        if (row.cut) cut = Math.min(cut, first + row.i)
        else groups[first + row.i]!.push(row)
      }
    })
    const answers: Answer[] = []
    let page = 0
    for (const read of reads) {
      if ('parts' in read)
        answers.push(
          partsOf(
            names.shift()!.map(({ name }) => name),
            read.parts.limit,
            roomFor(share),
          ),
        )
      else if (page === cut) break
      else answers.push(answerOf(read, groups[page++]!))
    }
    return { now, answers }
  }

  async function read(reads: readonly Read[], signal?: AbortSignal): Promise<ReadAnswer> {
    requireOpen(isOpen)
    let room = roomFor(ANSWER_BYTES)
    return readInPieces(reads, async (asked, known) => {
      if (known === 0) room = roomFor(ANSWER_BYTES)
      const piece = await readPiece(asked, known, room, signal)
      for (const answer of piece.answers.slice(known)) {
        if (answer && 'entries' in answer) for (const entry of answer.entries) room.takes(entryBytes(entry), true)
      }
      return piece
    })
  }

  async function commit(request: CommitRequest, signal?: AbortSignal): Promise<CommitAnswer> {
    requireOpen(isOpen)
    const { id, commits, deadline = null } = request
    const { bodies, staged } = encode(commits)
    const digest = digestOf(request)
    const statements = [
      statement(BEGIN, id, digest, deadline, REPLAY_WINDOW, ANSWER_BYTES, writesOf(request)),
      ...staged.map((value, n) => statement(STAGE, id, n, value)),
      ...bodies.map(({ first, json }) => statement(COMMITS, id, json, first)),
      statement(END, id, digest, commits.length, REPLAY_WINDOW),
    ]
    const { rows: results, isLost } = await send(
      [...statements, statement(ANSWERS, id), statement(CLEAR, id)],
      true,
      signal,
      (said) => (said.includes(NOT_A_LOG) ? notALog(logsOf(request).join(' or ')) : undefined),
    )
    const rows = results[statements.length] as AnswerRow[]
    const ofRequest = (item: number): AnswerRow => rows.find((row) => row.n === -1 && row.item === item)!
    const { said, last: now } = ofRequest(-3) as AnswerRow & { last: number }
    if (said === 'late') throw markedIfLost(late(now), isLost)
    if (said === 'reused') throw reused(id)
    const { verdicts } = JSON.parse(ofRequest(-1).said!) as RequestRecord
    const failed = new Map(rows.map((row) => [`${row.n} ${row.item}`, row]))
    const outcomes = verdicts.map((verdict, n): Outcome => {
      if (!('failed' in verdict)) return { ok: true, seqs: verdict }
      return {
        ok: false,
        failed: verdict.failed.map((check) => {
          const row = failed.get(`${n} ${check}`)!
          const isLog = 'log' in commits[n]!.checks[check]!
          return { check, current: isLog ? { last: row.last! } : row.version === null ? null : toCurrent(row) }
        }),
      }
    })
    return { now, outcomes }
  }

  return {
    name,
    capabilities: { ...CAPABILITIES, timeout },
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

/** Rows come in the order of the walk. A row that does not fit shows that there is more. */
function answerOf(read: Question, rows: readonly ReadRow[]): Answer {
  if ('get' in read) return rows[0] ? toEntry(rows[0]) : null
  return { entries: rows.filter(({ fits }) => fits).map(toEntry), more: rows.at(-1)?.fits === 0 }
}

/** The prefixes of the logs that a request names, without repeats. */
const logsOf = ({ commits }: CommitRequest): string[] => {
  const logs = commits.flatMap(({ checks, ops }) => [
    ...checks.flatMap((check) => ('log' in check ? [check.log.key] : [])),
    ...ops.flatMap((op) => ('append' in op ? [op.append.key] : 'trim' in op ? [op.trim.key] : [])),
  ])
  return [...new Set(logs)]
}

const statement = (sql: string, ...args: Statement['args']): Statement => ({ sql, args })
