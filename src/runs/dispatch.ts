/**
 * Dispatch: finds work for a worker. It only reads and makes offers; the claim decides who gets the work.
 *
 * The order is that of sayiir's dispatcher: steps that this worker failed last come at the end. Then comes priority,
 * where each interval of waiting is worth one level; then age, oldest first; then run id.
 *
 * @module
 */
import { type Known, requireInteger, requireOptions, shown } from '../core/arguments.ts'
import { bell } from '../core/bell.ts'
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
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { invalid } from '../core/errors.ts'
import { CLAIM, RUN, type TenantParts, keyAfter, decodeId, encodeId, under } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { CALL } from '../core/options.ts'
import { type TaskWakeupHint, requireHint } from './hints.ts'
import { type ReadyStep, encodeTags, readyEntries } from './indexes.ts'
import { decodeRun } from './record.ts'
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

/** Options of {@link DispatchStore.findHintedTask}. */
export interface FindHintedOptions extends CallOptions, WorkerInfo {}

/** Options of {@link DispatchStore.findAvailableTasks}. */
export interface FindTasksOptions extends CallOptions, WorkerInfo {
  /** The largest number of offers, from 1; 10 by default. */
  readonly limit?: number | undefined
  /**
   * The waiting time that gains a step one level of priority; 5 minutes by default, 0 counts as 1 ms. With `Infinity`,
   * waiting gains nothing.
   */
  readonly agingInterval?: Duration | undefined
}

/** Options of {@link DispatchStore.waitForWakeup}. */
export interface WaitForWorkOptions extends CallOptions, WorkerInfo {
  /** How long to wait; 0 looks once. */
  readonly timeout: Duration
  /** The average time between two looks, from 1 ms to 10^9 ms; 1 s by default. */
  readonly pollInterval?: Duration | undefined
}

/** The names of {@link Abilities}. */
export const ABILITIES: Known<Abilities> = { tags: true, workflows: true }
const HINTED: Known<FindHintedOptions> = { ...CALL, ...ABILITIES, workerId: true, except: true, takeBackBefore: true }
const FIND: Known<FindTasksOptions> = { ...HINTED, limit: true, agingInterval: true }
const WAIT: Known<WaitForWorkOptions> = { ...HINTED, timeout: true, pollInterval: true }

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

/** Finds work for the workers of one tenant. */
export interface DispatchStore {
  /**
   * Lists steps that can be worked on, best first. Steps that wait or are claimed are left out. The order is: steps
   * that this worker failed last come at the end; then priority and waiting time; then age; then run id.
   *
   * @param options - the worker, its abilities, and how many steps to return
   * @returns offers. Another worker may be faster, so claim a step before working on it. Of the steps that this worker
   *   failed, only the oldest thousand of each priority are considered
   * @throws `INVALID_ARGUMENT` for a malformed option
   */
  findAvailableTasks(options: FindTasksOptions): Promise<AvailableTask[]>
  /**
   * Looks up the step that a hint names.
   *
   * @param hint - the hint, decoded
   * @param options - the worker and its abilities
   * @returns an offer; `undefined` if the step is not ready, is claimed, or needs tags that the worker lacks
   * @throws `INVALID_ARGUMENT` for a malformed hint or option
   */
  findHintedTask(hint: TaskWakeupHint, options: FindHintedOptions): Promise<AvailableTask | undefined>
  /**
   * Waits for work. It looks when the backend announces a change, and also polls at random intervals, so that workers
   * do not all look at once. Polling finds work that no change announces, such as an expired claim or a due retry, and
   * makes up for lost announcements.
   *
   * @param options - the worker, its abilities, and how long to wait
   * @returns the best offer; `undefined` if the time was over first
   * @throws `INVALID_ARGUMENT` for a malformed option; `CLOSED` when the database is closed, which does not wait for
   *   this call
   */
  waitForWakeup(options: WaitForWorkOptions): Promise<AvailableTask | undefined>
  /**
   * Makes every caller that waits on this store look at once.
   *
   * @param hint - the step to look at first
   * @throws `INVALID_ARGUMENT` for a malformed hint
   */
  wake(hint?: TaskWakeupHint): void
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
function tagsOf(parts: TenantParts, part: string): readonly string[] {
  const encoded = part.slice(parts.ready.length)
  return encoded === '-' ? [] : (JSON.parse(decodeId(encoded)) as string[])
}

/** The tasks that a run offers, including those whose time has not come yet. */
export const offersOf = (parts: TenantParts, run: RunRecord): AvailableTask[] =>
  Array.from(readyEntries(parts, run), ({ at, value }) => toTask(parts, at, value))

const fits = (needed: readonly string[], { tags = [] }: Abilities): boolean =>
  tags.length === 0 || needed.every((tag) => tags.includes(tag))

const knows = ({ workflows }: Abilities, { workflow = '', definitionVersion }: AvailableTask): boolean =>
  workflows === undefined ||
  workflows.some((it) =>
    typeof it === 'string'
      ? it === workflow
      : it.name === workflow &&
        (it.version === undefined || definitionVersion === undefined || it.version === definitionVersion),
  )

function requireWorker<W extends WorkerInfo>(options: W, known: Known<W>): W {
  const worker = requireOptions(options, known)
  encodeId(worker.workerId, 'workerId')
  requireAbilities(worker)
  return worker
}

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
  behind: number
}

interface Candidate {
  readonly task: AvailableTask
  readonly stream: Stream
  readonly isBehind: boolean
  readonly key: string
}

/** The most failed candidates read per stream, so that a broken worker does not read the whole index. */
const MOST_BEHIND = 1000

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
        answers.push(...(await db.read(reads.slice(answers.length, answers.length + requestReads), options)))
      }
      return answers
    }

    function add(names: readonly string[]): void {
      for (const part of names) {
        if (!fits(tagsOf(parts, part), request)) continue
        for (const priority of [1, 2, 3, 4, 5]) {
          streams.push({ part, ...under(`${priority}!`), more: true, fresh: 0, behind: 0 })
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
          const isBehind = task.lastFailedWorker === workerId
          stream[isBehind ? 'behind' : 'fresh']++
          candidates.push({ task, stream, isBehind, key })
        }
      })
    }

    /** Reads until every stream has this many candidates, if it can. The best of all are then among them. */
    async function fill(most: number): Promise<void> {
      // Pages double in length, so that few requests suffice even if much is skipped.
      for (let length = most; ; length *= 2) {
        const short = streams.filter(({ more, fresh, behind }) => more && fresh < most && behind < MOST_BEHIND)
        if (short.length === 0) return
        take(short, await ask(rangesOf(short, length)))
      }
    }

    function order(a: Candidate, b: Candidate): number {
      const levels = a.task.priority - b.task.priority
      return (
        Number(a.isBehind) - Number(b.isBehind) ||
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
      best.forEach(({ task, stream, isBehind }, i) => {
        if (!isBehind) stream.fresh--
        const held = endOf(claims.slice(2 * i, 2 * i + 2) as (Entry | null)[], request)
        if (held === 0) offers.push(task)
        else next = Math.min(next, held)
      })
    }
    return { offers: offers.slice(0, limit), next }
  }
}

/** Creates the dispatch store of a tenant. */
export function dispatchStore(db: InnerDatabase, parts: TenantParts): DispatchStore {
  const find = finder(parts)
  const waiting = new Set<(hint: TaskWakeupHint | undefined) => void>()

  const store: DispatchStore = {
    async findAvailableTasks(given) {
      const asked = requireWorker(given, FIND)
      const {
        workerId,
        tags = [],
        workflows,
        except,
        takeBackBefore,
        limit = 10,
        agingInterval = '5 m',
        signal,
      } = asked
      requireInteger(limit, 'limit', 1)
      const interval = agingInterval === Infinity ? agingInterval : toMilliseconds(agingInterval, 'agingInterval')
      const request = { workerId, tags, workflows, except, takeBackBefore, limit, agingInterval: interval }
      return db.hold(async (held) => [...(await find(held, request, { signal })).offers], { signal })
    },
    async findHintedTask(hint, given) {
      const { signal, ...worker } = requireWorker(given, HINTED)
      const { runId, stepId, definitionHash, tags = [] } = requireHint(hint)
      if (!fits(tags, worker)) return undefined
      const [record, ...claims] = await db.read(
        [
          { get: { part: parts.run(runId), key: RUN } },
          { get: claimAt(parts, runId) },
          { get: claimAt(parts, runId, stepId) },
        ],
        { signal },
      )
      if (record === null || claims.some((claim) => claim !== null)) return undefined
      return offersOf(parts, decodeRun(record.value)).find(
        (task) =>
          task.stepId === stepId &&
          task.signal === undefined &&
          task.since <= db.now() &&
          (definitionHash ?? task.definitionHash) === task.definitionHash &&
          fits(task.tags, worker) &&
          knows(worker, task),
      )
    },
    async waitForWakeup(given) {
      const { timeout, pollInterval = 1000, ...worker } = requireWorker(given, WAIT)
      const until = performance.now() + toMilliseconds(timeout, 'timeout')
      const interval = toMilliseconds(pollInterval, 'pollInterval', 1, 1e9)
      let hint: TaskWakeupHint | undefined
      const { ring, silence, wait: rest } = bell()
      const wake = (it: TaskWakeupHint | undefined): void => {
        hint = it
        ring()
      }
      // Before the first look, so that no change between the two is missed.
      const unwatch = db.watch((part) => part.startsWith(parts.ready) && fits(tagsOf(parts, part), worker), ring)
      waiting.add(wake)
      try {
        for (;;) {
          // A ring during the look calls for another look.
          silence()
          const first = hint
          hint = undefined
          const hinted = first && (await store.findHintedTask(first, worker))
          const task = hinted ?? (await store.findAvailableTasks({ ...worker, limit: 1 }))[0]
          if (task) return task
          const left = until - performance.now()
          if (left <= 0) return undefined
          await rest(Math.min(left, 2 * Math.random() * interval), worker.signal)
        }
      } finally {
        unwatch()
        waiting.delete(wake)
      }
    },
    wake(hint) {
      const it = hint && requireHint(hint)
      for (const wakeOne of waiting) wakeOne(it)
    },
  }
  return store
}
