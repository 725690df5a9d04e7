/** Checks of indexes against the runs they name, in both directions. @module */
import { isSameValue } from '../core/codec.ts'
import type { Database } from '../core/database.ts'
import type { CallOptions, Check, Entry, EntryKey, Op } from '../core/driver.ts'
import { DIGITS, RUN, type TenantParts, decodeId, encodeNumber } from '../core/keys.ts'
import { indexEntries } from '../runs/indexes.ts'
import type { RunRecord } from '../runs/state.ts'
import type { ProblemKind, Report } from './problems.ts'
import { markedAtIn, readOr, runIn, waitingRunIn } from './readable.ts'

/** The arguments of the checks of one tenant's indexes. */
export interface IndexCheck {
  readonly db: Database
  readonly parts: TenantParts
  readonly report: Report
  readonly repair: boolean
  readonly options: CallOptions
}

const nameOf = ({ part, key }: EntryKey): string => `${part}\n${key}`

/**
 * Checks that the indexes hold the entries of a run's record, from one view. If the run changes meanwhile, checks its
 * new record.
 */
export async function checkRunIndexes(
  { db, parts, report, repair, options }: IndexCheck,
  at: EntryKey,
  record: { readonly entry: Entry; readonly run: RunRecord },
): Promise<void> {
  const { requestReads } = db.driver.capabilities.limits
  let { entry, run } = record
  for (;;) {
    const expected = [...indexEntries(parts, run)]
    let isSame = true
    for (let from = 0; from < expected.length && isSame; from += requestReads - 1) {
      const some = expected.slice(from, from + requestReads - 1)
      const [now, ...found] = await db.read([{ get: at }, ...some.map((it) => ({ get: it.at }))], options)
      if (!now) return
      isSame = now.version === entry.version
      if (!isSame) {
        entry = now
        const changed = readOr(report, { part: at.part, entry }, (value) => runIn(at.part, value))
        if (!changed) return
        run = changed
        continue
      }
      for (const [i, want] of some.entries()) {
        const there = found[i] as Entry | null
        if (there && isSameValue(there.value, want.value)) continue
        const { key, part } = want.at
        const checks = [
          { at, version: entry.version },
          { at: want.at, version: there && there.version },
        ]
        const repaired = repair && (await commits(db, checks, [{ put: want.at, value: want.value }], options))
        const kind: ProblemKind = there ? 'wrong-index' : 'missing-index'
        report({
          kind,
          part,
          key,
          message: `The index ${there ? 'contradicts' : 'lacks an entry of'} the record of run ${run.runId}`,
          repaired,
        })
      }
    }
    if (isSame) return
  }
}

/** The id of the run that an index entry names, from its key. */
function runOf(parts: TenantParts, part: string, { key }: Entry): string | undefined {
  const ids = key.split('!')
  const at = part === parts.runs || part === parts.snapshots ? 0 : part === parts.due ? 1 : 2
  return ids[at] && decodeId(ids[at])
}

/** Checks that each entry of an index matches its run. */
export async function checkIndexEntries(
  { db, parts, report, repair, options }: IndexCheck,
  part: string,
  entries: readonly Entry[],
): Promise<void> {
  const { requestReads } = db.driver.capabilities.limits
  const most = Math.max(1, Math.floor(requestReads / 2))
  const isWaits = part === parts.waits
  const runIds = new Map<Entry, string>()
  for (const entry of isWaits ? entries : []) {
    const runId = readOr(report, { part, entry }, waitingRunIn)
    if (runId !== undefined) runIds.set(entry, runId)
  }
  // An entry that cannot be decoded names no run. It is never reported as dangling.
  const readable = isWaits ? [...runIds.keys()] : entries
  for (let from = 0; from < readable.length; from += most) {
    const some = readable.slice(from, from + most)
    const owners = some.map((entry) => ownerOf(parts, () => runIds.get(entry) ?? runOf(parts, part, entry)))
    const reads = some.flatMap(({ key }, i) => [{ get: { part, key } }, { get: owners[i] ?? { part, key } }])
    // Both from one view, so that a run that changes meanwhile does not look wrong.
    const found = await db.read(reads, options)
    for (const [i, { key }] of some.entries()) {
      const [there, record] = [found[2 * i] as Entry | null, found[2 * i + 1] as Entry | null]
      const owner = owners[i]
      if (!there || (owner && record && isExpected(parts, { part, key }, owner, record))) continue
      const checks: Check[] = [{ at: { part, key }, version: there.version }]
      if (owner) checks.push({ at: owner, version: record && record.version })
      const repaired = repair && (await commits(db, checks, [{ delete: { part, key } }], options))
      report({ kind: 'dangling-index', part, key, message: 'No run matches this index entry', repaired })
    }
  }
}

function ownerOf(parts: TenantParts, read: () => string | undefined): EntryKey | undefined {
  try {
    const runId = read()
    return runId === undefined ? undefined : { part: parts.run(runId), key: RUN }
  } catch {
    return undefined
  }
}

function isExpected(parts: TenantParts, at: EntryKey, owner: EntryKey, record: Entry): boolean {
  const name = nameOf(at)
  try {
    return [...indexEntries(parts, runIn(owner.part, record.value))].some((it) => nameOf(it.at) === name)
  } catch {
    // A record that cannot be decoded is reported elsewhere.
    return true
  }
}

/** Checks marks and their index by time. Entries written by one commit have one version. */
export async function checkMarks(
  { db, parts, report, repair, options }: IndexCheck,
  part: string,
  entries: readonly Entry[],
): Promise<void> {
  const isIndex = part === parts.marked
  const { requestReads } = db.driver.capabilities.limits
  const most = Math.max(1, Math.floor(requestReads / 2))
  const paired = entries.flatMap((entry): { readonly key: string; readonly other: EntryKey }[] => {
    const { key } = entry
    if (isIndex) return [{ key, other: { part: parts.marks, key: key.slice(DIGITS + 1) } }]
    const when = readOr(report, { part, entry }, markedAtIn) ?? null
    return when === null ? [] : [{ key, other: { part: parts.marked, key: `${encodeNumber(when)}!${key}` } }]
  })
  for (let from = 0; from < paired.length; from += most) {
    const some = paired.slice(from, from + most)
    const found = await db.read(
      some.flatMap(({ key, other }) => [{ get: { part, key } }, { get: other }]),
      options,
    )
    for (const [i, { key, other: otherAt }] of some.entries()) {
      const [own, other] = [found[2 * i] ?? null, found[2 * i + 1] ?? null]
      if (!own || own.version === other?.version) continue
      if (isIndex && other && !isMark(other)) continue
      const at = { part, key }
      const checks = [
        { at, version: own.version },
        { at: otherAt, version: other && other.version },
      ]
      const expires = own.expiresAt === null ? undefined : { at: own.expiresAt }
      const op: Op = isIndex ? { delete: at } : { put: otherAt, value: '', expires }
      const repaired = repair && (await commits(db, checks, [op], options, own.version))
      const kind: ProblemKind = isIndex ? 'dangling-index' : 'missing-index'
      report({
        kind,
        part,
        key,
        message: isIndex ? 'The mark is missing' : 'The index by time lacks this mark',
        repaired,
      })
    }
  }
}

/** Whether the entry can be decoded as a mark. If not, that is reported elsewhere. */
function isMark({ value }: Entry): boolean {
  try {
    markedAtIn(value)
    return true
  } catch {
    return false
  }
}

const commits = async (
  db: Database,
  checks: readonly Check[],
  ops: readonly Op[],
  options: CallOptions,
  id?: string,
): Promise<boolean> => (await db.commit({ ...(id !== undefined && { id }), checks, ops }, options)).ok

/** Checks that fencing tokens are numbers, including those of deleted runs: outside services may know the last one. */
export function checkTokens(report: Report, part: string, entries: readonly Entry[]): void {
  for (const { key, value } of entries) {
    if (!/^\d{1,16}$/.test(String(value))) {
      report({ kind: 'unreadable', part, key, message: 'The fencing token is not a number' })
    }
  }
}
