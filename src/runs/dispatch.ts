/**
 * Dispatch: finds work for a worker. It only reads and makes offers; the claim decides who gets the work.
 *
 * The order is that of sayiir's dispatcher: steps that this worker failed last come at the end. Then comes priority,
 * where each interval of waiting is worth one level; then age, oldest first; then run id.
 *
 * @module
 */
import { type Known, shown } from '../core/arguments.ts'
import { decode } from '../core/codec.ts'
import type { InnerDatabase } from '../core/database.ts'
import type {
  Answer,
  CallOptions,
  Entry,
  EntryPage,
  EntryKey,
  PartPage,
  EntryRange,
  Read,
  Value,
} from '../core/driver.ts'
import { invalid, isHoldfastError } from '../core/errors.ts'
import { CLAIM, type TenantParts, keyAfter, decodeId, encodeId, under } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { type ReadyStep, encodeTags, readyEntries } from './indexes.ts'
import type { Priority, RunRecord } from './state.ts'

/** The work that a worker can do. */
export interface Abilities {
  /** A run is offered if it has no tags, or none but these. If left out or empty, every run is offered. */
  readonly tags?: readonly string[] | undefined
  /** The workflows that it can run; all by default. Runs of other workflows are skipped one by one. */
  readonly workflows?: readonly (string | KnownWorkflow)[] | undefined
}

/** One version of a workflow, or all of them. A run without a version fits every version of its workflow. */
export interface KnownWorkflow {
  readonly name: string
  readonly version?: string | undefined
}

/** The worker that asks for work. */
export interface WorkerInfo extends Abilities {
  readonly workerId: string
  /** Runs not to offer now. */
  readonly except?: ((runId: string) => boolean) | undefined
  /**
   * Ignores claims that this worker took before this time, in milliseconds since 1970: the worker was restarted, and
   * takes these claims over with the same `takeBackBefore`.
   */
  readonly takeBackBefore?: number | undefined
}

/** The names of {@link Abilities}. */
export const ABILITIES: Known<Abilities> = { tags: true, workflows: true }
/** A step to work on. With `signal`, a run to stop: call `checkControlSignals` instead of doing work. */
export interface AvailableTask extends ReadyStep {
  readonly runId: string
  /** Absent if the run is to be stopped and has no position. */
  readonly stepId?: string
  readonly priority: Priority
  readonly tags: readonly string[]
  /** When the step became ready, or when the stop was requested, in milliseconds since 1970. */
  readonly since: number
}

/** The key of the claim of a run, or of a step. */
export const claimAt = (parts: TenantParts, runId: string, stepId?: string): EntryKey => ({
  part: parts.run(runId),
  key: stepId === undefined ? CLAIM : `${CLAIM}!${encodeId(stepId, 'stepId')}`,
})

/** Reads the claims that cover a task. Nobody holds it if both are absent. */
const claimsOf = (parts: TenantParts, { runId, stepId }: AvailableTask): Read[] => [
  { get: claimAt(parts, runId) },
  { get: claimAt(parts, runId, stepId) },
]

/** Reads an entry of the index. */
function toTask(parts: TenantParts, { part, key }: EntryKey, value: Value): AvailableTask {
  const [priority, since, runId, stepId] = key.split('!') as [string, string, string, string]
  return defined({
    ...(decode(value) as ReadyStep),
    runId: decodeId(runId),
    stepId: stepId === '' ? undefined : decodeId(stepId),
    priority: Number(priority) as Priority,
    tags: tagsOf(parts, part),
    since: Number(since),
  })
}

/** The tags of a part of the index. */
export function tagsOf(parts: TenantParts, part: string): readonly string[] {
  const encoded = part.slice(parts.ready.length)
  return encoded === '-' ? [] : (JSON.parse(decodeId(encoded)) as string[])
}

/** The tasks that a run offers, including those whose time has not come yet. */
export const offersOf = (parts: TenantParts, run: RunRecord): AvailableTask[] =>
  Array.from(readyEntries(parts, run), ({ at, value }) => toTask(parts, at, value))

/** Whether a worker may run what needs these tags. */
export const fits = (needed: readonly string[], { tags = [] }: Abilities): boolean =>
  tags.length === 0 || needed.every((tag) => tags.includes(tag))

/** Whether a worker knows the workflow of a task, in a version that fits the run. */
export const knows = ({ workflows }: Abilities, { workflow = '', definitionVersion }: AvailableTask): boolean =>
  workflows === undefined ||
  workflows.some((it) =>
    typeof it === 'string'
      ? it === workflow
      : it.name === workflow &&
        (it.version === undefined || definitionVersion === undefined || it.version === definitionVersion),
  )

/** @throws `INVALID_ARGUMENT` for malformed tags or workflows */
export function requireAbilities({ tags, workflows }: Abilities): void {
  if (workflows !== undefined && !Array.isArray(workflows))
    throw invalid(`workflows must be an array, not ${shown(workflows)}`)
  if (tags !== undefined) encodeTags(tags)
}

/** A request for work, with every default filled in. */
export interface Request extends WorkerInfo {
  readonly limit: number
  readonly agingInterval: number
}

/** One priority of one set of tags, read as far as needed. */
interface Stream {
  readonly part: string
  start: string
  readonly end: string
  more: boolean
  /** How many of the candidates read come first in the order. */
  fresh: number
  /** How many of the candidates read come last, because this worker failed them. */
  failed: number
}

interface Candidate {
  readonly task: AvailableTask
  readonly stream: Stream
  /** This worker failed it last, so it comes last. */
  readonly isLast: boolean
  readonly key: string
}

/** The most failed candidates read per stream, so that a broken worker does not read the whole index. */
const MOST_FAILED = 1000

/** The result of a search for work. */
export interface Found {
  /** As many as the request allows, or fewer if there is less work. */
  readonly offers: readonly AvailableTask[]
  /**
   * When to look again, in milliseconds since 1970: the first retry is due then, or the first claim expires. `Infinity`
   * if neither will happen.
   */
  readonly next: number
}

/** Looks for work. */
export type Find = (db: InnerDatabase, request: Request, options?: CallOptions) => Promise<Found>

/** When the last claim that counts for this worker expires; 0 if there is none. */
const endOf = (claims: readonly (Entry | null)[], { workerId, takeBackBefore }: WorkerInfo): number =>
  Math.max(
    ...claims.map((claim) => {
      if (claim === null) return 0
      const end = claim.expiresAt ?? Infinity
      if (takeBackBefore === undefined) return end
      const held = decode(claim.value) as { readonly workerId: string; readonly claimedAt: number }
      return held.workerId === workerId && held.claimedAt < takeBackBefore ? 0 : end
    }),
  )

/** Creates a search for work. */
export function finder(parts: TenantParts): Find {
  /** The parts of the index, as last seen. Each search reads them and checks the list at the same time. */
  let known: readonly string[] = []

  return async (db, request, options) => {
    const { workerId, limit } = request
    const agingInterval = request.agingInterval || 1
    const { requestReads, rangeEntries } = db.driver.capabilities.limits
    const streams: Stream[] = []
    const candidates: Candidate[] = []
    let next = Infinity

    async function ask(reads: readonly Read[]): Promise<readonly Answer[]> {
      const answers: Answer[] = []
      while (answers.length < reads.length) {
        const some = reads.slice(answers.length, answers.length + requestReads)
        try {
          answers.push(...(await db.read(some, options)))
        } catch (error) {
          if (!isHoldfastError(error, 'SERIALIZATION')) throw error
          answers.push(...(await Promise.all(some.map(askReadable))))
        }
      }
      return answers
    }

    /** Leaves out what this process cannot read, such as entries under a key that it does not have: others may. */
    async function askReadable(read: Read): Promise<Answer> {
      try {
        return (await db.read([read], options))[0]!
      } catch (error) {
        if (!isHoldfastError(error, 'SERIALIZATION') || !('range' in read)) throw error
        const { part } = read.range
        const [page] = await db.read([{ range: { ...read.range, keysOnly: true } }], options)
        const { entries, more } = page
        const found = await Promise.allSettled(
          entries.map(async ({ key }) => (await db.read([{ get: { part, key } }], options))[0]),
        )
        const readable: Entry[] = []
        for (const it of found) {
          if (it.status === 'fulfilled' && it.value) readable.push(it.value)
          else if (it.status === 'rejected' && !isHoldfastError(it.reason, 'SERIALIZATION')) throw it.reason
        }
        return { entries: readable, more }
      }
    }

    function add(names: readonly string[]): void {
      for (const part of names) {
        if (!fits(tagsOf(parts, part), request)) continue
        for (const priority of [1, 2, 3, 4, 5]) {
          streams.push({ part, ...under(`${priority}!`), more: true, fresh: 0, failed: 0 })
        }
      }
    }

    const rangesOf = (some: readonly Stream[], most: number): { readonly range: EntryRange }[] =>
      some.map(({ part, start, end }) => ({ range: { part, start, end, limit: Math.min(most, rangeEntries) } }))

    function take(some: readonly Stream[], pages: readonly Answer[]): void {
      // The answer has just set this clock. Steps that wait for their next attempt sort last and are cut off here.
      const now = db.now()
      some.forEach((stream, i) => {
        const { entries, more } = pages[i] as EntryPage
        stream.more = more
        for (const { key, value } of entries) {
          const task = toTask(parts, { part: stream.part, key }, value)
          if (task.since > now) {
            // Counted even if the workflow is unknown: known work that sorts later is not due before this time.
            next = Math.min(next, task.since)
            stream.more = false
            break
          }
          stream.start = keyAfter(key)
          if (!knows(request, task) || request.except?.(task.runId)) continue
          const isLast = task.lastFailedWorker === workerId
          stream[isLast ? 'failed' : 'fresh']++
          candidates.push({ task, stream, isLast, key })
        }
      })
    }

    /** Reads until every stream has this many candidates, if it can. The best of all are then among them. */
    async function fill(most: number): Promise<void> {
      // Pages double in length, so that few requests suffice even if much is skipped.
      for (let length = most; ; length *= 2) {
        const short = streams.filter(({ more, fresh, failed }) => more && fresh < most && failed < MOST_FAILED)
        if (short.length === 0) return
        take(short, await ask(rangesOf(short, length)))
      }
    }

    function order(a: Candidate, b: Candidate): number {
      const levels = a.task.priority - b.task.priority
      return (
        Number(a.isLast) - Number(b.isLast) ||
        // Zero levels times Infinity would be NaN.
        (levels && levels * agingInterval) + a.task.since - b.task.since ||
        a.task.since - b.task.since ||
        (a.key < b.key ? -1 : 1)
      )
    }

    async function addAll(): Promise<void> {
      // A copy: another call may update the list meanwhile.
      const before = known
      add(before)
      const early = [...streams]
      const names: string[] = []
      let { start, end } = under(parts.ready)
      for (let more = true, ranges = rangesOf(early, limit); more; ranges = []) {
        const [page, ...pages] = await ask([{ parts: { start, end, limit: rangeEntries } }, ...ranges])
        if (ranges.length > 0) take(early, pages)
        names.push(...(page as PartPage).parts)
        more = (page as PartPage).more
        start = keyAfter(names.at(-1) ?? start)
      }
      const seen = new Set(before)
      add(names.filter((name) => !seen.has(name)))
      known = names
    }

    await addAll()
    const offers: AvailableTask[] = []
    // The window doubles, so that few requests suffice even if much is claimed. It is at most twice what is needed.
    for (let window = limit; offers.length < limit; window *= 2) {
      await fill(window)
      if (candidates.length === 0) break
      const best = candidates.sort(order).splice(0, window)
      const claims = await ask(best.flatMap(({ task }) => claimsOf(parts, task)))
      best.forEach(({ task, stream, isLast }, i) => {
        if (!isLast) stream.fresh--
        const held = endOf(claims.slice(2 * i, 2 * i + 2) as (Entry | null)[], request)
        if (held === 0) offers.push(task)
        else next = Math.min(next, held)
      })
    }
    return { offers: offers.slice(0, limit), next }
  }
}
