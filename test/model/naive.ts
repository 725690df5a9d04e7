/** The contract once more, as plainly as it can be said: one array of all entries, searched from end to end. */
import type {
  Answer,
  Check,
  Commit,
  Entry,
  FailedCheck,
  EntryKey,
  Outcome,
  PartPage,
  EntryRange,
  Read,
  Value,
} from '../../src/core/driver.ts'

interface Row extends Entry {
  readonly part: string
}

export interface Naive {
  read(reads: readonly Read[]): readonly Answer[]
  commit(commits: readonly Commit[]): readonly Outcome[]
  /** The version there is now; `null` where there is none. */
  versionAt(key: EntryKey): string | null
  /** The number at which a log ends. */
  lastOf(log: EntryKey): number
  /** The parts that hold an entry that has not expired. */
  liveParts(): string[]
}

export function naive(clock: () => number): Naive {
  // What has expired stays: nobody can tell, except by the names of parts.
  let rows: Row[] = []

  const isLive = (row: Row): boolean => row.expiresAt === null || row.expiresAt > clock()
  const toEntry = ({ key, version, value, expiresAt }: Row): Entry => ({ key, version, value, expiresAt })

  function find({ part, key }: EntryKey): Entry | null {
    const row = rows.find((candidate) => candidate.part === part && candidate.key === key && isLive(candidate))
    return row ? toEntry(row) : null
  }

  function lastOf({ part, key }: EntryKey): number {
    const numbers = rows
      .filter((row) => row.part === part && row.key.startsWith(key))
      .map((row) => Number(row.key.slice(key.length)))
    return Math.max(0, ...numbers)
  }

  function inRange({ part, start, end }: { part: string; start: string; end: string }): Row[] {
    return rows
      .filter((row) => row.part === part && row.key >= start && row.key < end)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  function range(question: EntryRange): Answer {
    const found = inRange(question).filter(isLive)
    if (question.reverse) found.reverse()
    const entries = found.slice(0, question.limit).map(toEntry)
    return {
      entries: question.keysOnly ? entries.map((entry) => ({ ...entry, value: '' })) : entries,
      more: found.length > question.limit,
    }
  }

  const partsOf = (some: readonly Row[]): string[] => [...new Set(some.map((row) => row.part))].sort()

  function parts(start: string, end: string, limit: number): PartPage {
    const found = partsOf(rows).filter((part) => part >= start && part < end)
    return { parts: found.slice(0, limit), more: found.length > limit }
  }

  function put({ part, key }: EntryKey, value: Value, version: string, expiresAt: number | null): void {
    remove((row) => row.part === part && row.key === key)
    rows.push({ part, key, version, value, expiresAt })
  }

  function remove(which: (row: Row) => boolean): void {
    rows = rows.filter((row) => !which(row))
  }

  function judge(check: Check, index: number): FailedCheck | undefined {
    if ('log' in check) {
      const last = lastOf(check.log)
      return last === check.last ? undefined : { check: index, current: { last } }
    }
    const current = find(check.at)
    return (current === null ? null : current.version) === check.version ? undefined : { check: index, current }
  }

  function apply({ id, checks, ops }: Commit): Outcome {
    const failed = checks.map(judge).filter((failure) => failure !== undefined)
    if (failed.length > 0) return { ok: false, failed }
    const seqs: number[] = []
    for (const op of ops) {
      if ('deletePart' in op) remove((row) => row.part === op.deletePart)
      if ('deleteRange' in op) {
        const gone = inRange(op.deleteRange)
        remove((row) => gone.includes(row))
      }
    }
    for (const op of ops) {
      if ('put' in op) {
        const { expires } = op
        put(op.put, op.value, id, expires ? ('in' in expires ? clock() + expires.in : expires.at) : null)
      }
      if ('delete' in op) remove((row) => row.part === op.delete.part && row.key === op.delete.key)
      if ('append' in op) {
        const { part, key } = op.append
        const seq = lastOf(op.append) + 1
        seqs.push(seq)
        put({ part, key: key + String(seq).padStart(16, '0') }, op.value, id, null)
        if (op.ref !== undefined) put({ part, key: op.ref }, String(seq), id, null)
      }
    }
    return { ok: true, seqs }
  }

  return {
    read: (reads) =>
      reads.map((read) => {
        if ('get' in read) return find(read.get)
        return 'range' in read ? range(read.range) : parts(read.parts.start, read.parts.end, read.parts.limit)
      }),
    commit: (commits) => commits.map(apply),
    versionAt: (key) => find(key)?.version ?? null,
    lastOf,
    liveParts: () => partsOf(rows.filter(isLive)),
  }
}
