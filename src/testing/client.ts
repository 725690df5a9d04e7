/** A driver with helpers for cases. @module */
import type { AnswerTo, Draft } from '../core/database.ts'
import type {
  CommitAnswer,
  Driver,
  Entry,
  EntryPage,
  EntryKey,
  Limits,
  Op,
  Outcome,
  PartPage,
  EntryRange,
  Read,
} from '../core/driver.ts'
import { equal, ok } from './assert.ts'
import { ALL, PART } from './build.ts'

/** A range with defaults: all keys of the default part, in pages of moderate size. */
export type RangeOptions = Partial<EntryRange>

/** The result of a commit that had to succeed. */
export interface Written {
  /** The id of the commit, which is the version of what it wrote. */
  readonly version: string
  readonly seqs: readonly number[]
  readonly now: number
}

/** A driver with shortcuts. Every call is one request, unless its comment says otherwise. */
export interface Client {
  readonly driver: Driver
  readonly limits: Limits
  /** Returns a globally unique id. */
  id(): string
  /** Sends commits as one request. Commits without an id get a fresh one. */
  send(drafts: readonly Draft[]): Promise<CommitAnswer>
  /** Sends one commit. */
  commit(draft: Draft): Promise<Outcome>
  /** Sends one commit without checks, which must succeed. */
  write(...ops: Op[]): Promise<Written>
  /** Writes any number of ops, in as many requests as the limits need. */
  writeAll(ops: readonly Op[]): Promise<void>
  /** Reads everything in one consistent view. */
  read<const R extends readonly Read[]>(...reads: R): Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
  /** Reads the entry of a key. */
  get(key: EntryKey): Promise<Entry | null>
  /** Reads one page. */
  page(range?: RangeOptions): Promise<EntryPage>
  /** Reads all entries of a range, page by page, and sorts them by key if the pages come in another order. */
  all(range?: RangeOptions): Promise<Entry[]>
  /** Reads the keys of a range. */
  keys(range?: RangeOptions): Promise<string[]>
  /** Reads the names of all parts, page by page, sorted. */
  parts(range?: Partial<{ start: string; end: string; limit: number }>): Promise<string[]>
}

const PAGE = 100
const OPS_PER_COMMIT = 25

/** Creates a client of an opened driver. */
export function client(driver: Driver, id: () => string): Client {
  const { limits, idOrder } = driver.capabilities
  /** If ids have no meaningful order, cases only check that each comes exactly once. */
  const sorted = <T>(items: T[], name: (item: T) => string, reverse = false): T[] => {
    if (idOrder === undefined) return items
    const ascending = items.toSorted((a, b) => (name(a) < name(b) ? -1 : 1))
    return reverse ? ascending.toReversed() : ascending
  }
  const most = Math.min(PAGE, limits.rangeEntries)

  const read: Client['read'] = async (...reads) => {
    const { answers } = await driver.read(reads)
    equal(answers.length, reads.length, 'One answer per question')
    return answers as never
  }

  const send = (drafts: readonly Draft[]): Promise<CommitAnswer> =>
    driver.commit({
      id: id(),
      commits: drafts.map((draft) => ({
        id: draft.id ?? id(),
        checks: draft.checks ?? [],
        ops: draft.ops ?? [],
        durability: 'strict',
      })),
    })

  async function write(...ops: Op[]): Promise<Written> {
    const version = id()
    const { now, outcomes } = await send([{ id: version, ops }])
    const [outcome] = outcomes
    ok(outcome?.ok && outcomes.length === 1, 'A commit without checks takes effect')
    return { version, seqs: outcome.seqs, now }
  }

  async function writeAll(ops: readonly Op[]): Promise<void> {
    const perCommit = Math.min(OPS_PER_COMMIT, limits.commitKeys)
    const perRequest = perCommit * Math.min(OPS_PER_COMMIT, limits.requestCommits)
    for (let from = 0; from < ops.length; from += perRequest) {
      const drafts: Draft[] = []
      for (let i = from; i < Math.min(from + perRequest, ops.length); i += perCommit) {
        drafts.push({ ops: ops.slice(i, Math.min(i + perCommit, from + perRequest)) })
      }
      const { outcomes } = await send(drafts)
      ok(outcomes.length === drafts.length && outcomes.every((outcome) => outcome.ok), 'Commits without checks succeed')
    }
  }

  const page = async (range: RangeOptions = {}): Promise<EntryPage> =>
    (await read({ range: { part: PART, ...ALL, limit: most, ...range } }))[0]

  async function all(range: RangeOptions = {}): Promise<Entry[]> {
    const entries: Entry[] = []
    let bounds: RangeOptions = range
    for (;;) {
      const { entries: found, more } = await page(bounds)
      ok(found.length <= (range.limit ?? most), 'A page holds at most as many entries as asked for')
      entries.push(...found)
      if (!more) return sorted(entries, ({ key }) => key, range.reverse)
      const last = found.at(-1)
      ok(last !== undefined, 'A page that is not the last holds an entry')
      const isOn = range.reverse ? last.key < (bounds.end ?? ALL.end) : last.key >= (bounds.start ?? ALL.start)
      ok(isOn || idOrder !== undefined, 'A page goes on where the one before it ended')
      bounds = { ...bounds, ...(range.reverse ? { end: last.key } : { start: `${last.key} ` }) }
    }
  }

  async function parts(range: Parameters<Client['parts']>[0] = {}): Promise<string[]> {
    const names: string[] = []
    const limit = range.limit ?? most
    let start = range.start ?? ALL.start
    for (;;) {
      const [found]: readonly PartPage[] = await read({ parts: { start, end: range.end ?? ALL.end, limit } })
      ok(found !== undefined && found.parts.length <= limit, 'A page holds at most as many parts as asked for')
      names.push(...found.parts)
      if (!found.more) return sorted(names, (name) => name)
      const last = found.parts.at(-1)
      ok(
        last !== undefined && (last >= start || idOrder !== undefined),
        'The next page begins where the last one ended',
      )
      start = `${last} `
    }
  }

  return {
    driver,
    limits,
    id,
    send,
    commit: async (draft) => (await send([draft])).outcomes[0]!,
    write,
    writeAll,
    read,
    get: async (key) => (await read({ get: key }))[0],
    page,
    all,
    keys: async (range) => (await all(range)).map((entry) => entry.key),
    parts,
  }
}
