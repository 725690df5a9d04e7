/** A driver as the cases use it. @module */
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

/** A range with defaults: everything of the part that cases use, in pages of a modest size. */
export type RangeOptions = Partial<EntryRange>

/** What became of a commit that had to take effect. */
export interface Written {
  /** The id of the commit: the version of what it wrote. */
  readonly version: string
  readonly seqs: readonly number[]
  readonly now: number
}

/** A driver with a few short cuts; every call is one request, except where it says pages. */
export interface Client {
  readonly driver: Driver
  readonly limits: Limits
  /** A globally unique id. */
  id(): string
  /** Sends commits as one request, under fresh ids where they have none. */
  send(drafts: readonly Draft[]): Promise<CommitAnswer>
  /** Sends one commit. */
  commit(draft: Draft): Promise<Outcome>
  /** Sends one commit without checks, which has to take effect. */
  write(...ops: Op[]): Promise<Written>
  /** Writes any number of ops, in as many requests as the limits want. */
  writeAll(ops: readonly Op[]): Promise<void>
  /** The answers to all questions, from one view. */
  read<const R extends readonly Read[]>(...reads: R): Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
  /** The entry at a key. */
  get(key: EntryKey): Promise<Entry | null>
  /** One page. */
  page(range?: RangeOptions): Promise<EntryPage>
  /** All entries of a range, page by page; in the order of their keys, also where pages come in another. */
  all(range?: RangeOptions): Promise<Entry[]>
  /** The keys of a range. */
  keys(range?: RangeOptions): Promise<string[]>
  /** All names of parts, page by page; in their order, too. */
  parts(range?: Partial<{ start: string; end: string; limit: number }>): Promise<string[]>
}

const PAGE = 100
const OPS_PER_COMMIT = 25

/** Makes a client of an opened driver. */
export function client(driver: Driver, id: () => string): Client {
  const { limits, idOrder } = driver.capabilities
  /** Where ids come in an order that tells nothing, what matters to cases is that each comes, and once. */
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
      ok(
        outcomes.length === drafts.length && outcomes.every((outcome) => outcome.ok),
        'Commits without checks take effect',
      )
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
        'A page that is not the last goes on where the one before it ended',
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
