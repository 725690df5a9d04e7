/**
 * Dispatch: what there is for a worker to do. It only reads, and what it answers is an offer: the claim decides.
 *
 * The order is that of sayiir's dispatcher: what this worker failed at comes last, then by priority, where every
 * interval of waiting is worth one level, then the oldest, then by run.
 *
 * @module
 */
import { type Known, requireInteger, requireOptions } from '../core/arguments.ts'
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

/** What a worker can do. */
export interface Abilities {
  /** Runs without tags are for it, and those whose tags it has all. Without any, all are. */
  readonly tags?: readonly string[] | undefined
  /** The workflows that it knows; all by default. What it does not know is passed over, one entry after the other. */
  readonly workflows?: readonly (string | KnownWorkflow)[] | undefined
}

/** One version of a workflow, or all of them. Runs without a version are for every one of their workflow. */
export interface KnownWorkflow {
  readonly name: string
  readonly version?: string | undefined
}

/** Who asks for work. */
export interface WorkerInfo extends Abilities {
  readonly workerId: string
  /** Runs that it does not want to be offered at this moment. */
  readonly except?: ((runId: string) => boolean) | undefined
  /**
   * Claims that this worker has taken before this time, in milliseconds since 1970, do not count: it was started again, and
   * takes them over with the same `takeBackBefore`.
   */
  readonly takeBackBefore?: number | undefined
}

/** Options of {@link DispatchStore.findHintedTask}. */
export interface FindHintedOptions extends CallOptions, WorkerInfo {}

/** Options of {@link DispatchStore.findAvailableTasks}. */
export interface FindTasksOptions extends CallOptions, WorkerInfo {
  /** At most this many, from 1; 10 by default. */
  readonly limit?: number | undefined
  /**
   * How long a step has to wait to gain one level of priority; 5 minutes by default, 0 counts as 1 ms. With `Infinity`
   * waiting gains nothing.
   */
  readonly agingInterval?: Duration | undefined
}

/** Options of {@link DispatchStore.waitForWakeup}. */
export interface WaitForWorkOptions extends CallOptions, WorkerInfo {
  /** How long to wait, from 0, which looks once. */
  readonly timeout: Duration
  /** How long between two looks on average, from 1 ms to 10^9 ms; 1 s by default. */
  readonly pollInterval?: Duration | undefined
}

/** The names of {@link Abilities}. */
export const ABILITIES: Known<Abilities> = { tags: true, workflows: true }
const HINTED: Known<FindHintedOptions> = { ...CALL, ...ABILITIES, workerId: true, except: true, takeBackBefore: true }
const FIND: Known<FindTasksOptions> = { ...HINTED, limit: true, agingInterval: true }
const WAIT: Known<WaitForWorkOptions> = { ...HINTED, timeout: true, pollInterval: true }

/** A step to be worked on; or with `signal`, a run to be stopped: `checkControlSignals` does that, and no work. */
export interface AvailableTask extends ReadyStep {
  readonly runId: string
  /** Absent where the run is to be stopped, and stands nowhere. */
  readonly stepId?: string
  readonly priority: Priority
  readonly tags: readonly string[]
  /** Since when it is there to be done, or was to be stopped, in milliseconds since 1970. */
  readonly since: number
}

/** What there is to do for the workers of one tenant. */
export interface DispatchStore {
  /**
   * What can be worked on, best first: what neither waits nor is claimed. What this worker failed at last comes after
   * all else, then the order is by priority and waiting time, then by age, then by run.
   *
   * @returns offers: somebody else may be faster, and a claim made of an offer tells. Of what the worker failed at, only
   *   the oldest thousand of each priority are looked at
   */
  findAvailableTasks(options: FindTasksOptions): Promise<AvailableTask[]>
  /** The step that a hint names; `undefined` where it is not there to be worked on, is claimed, or needs other tags. */
  findHintedTask(hint: TaskWakeupHint, options: FindHintedOptions): Promise<AvailableTask | undefined>
  /**
   * Waits for something to do: looks when the backend announces that there may be something, and again and again, at
   * random times, so that workers do not meet. The latter is for what comes without a change, such as a claim that
   * expires or a retry that is due, and for announcements that are lost.
   *
   * @returns the best offer; `undefined` where the time was over first
   * @throws `CLOSED` at the close, which does not wait for it
   */
  waitForWakeup(options: WaitForWorkOptions): Promise<AvailableTask | undefined>
  /**
   * Has those who wait on this store look at once.
   *
   * @param hint - what to look at first
   * @throws `INVALID_ARGUMENT` for a malformed hint
   */
  wake(hint?: TaskWakeupHint): void
}

/** Where the claim of a run lies, or that of a step. */
export const claimAt = (parts: TenantParts, runId: string, stepId?: string): EntryKey => ({
  part: parts.run(runId),
  key: stepId === undefined ? CLAIM : `${CLAIM}!${encodeId(stepId, 'stepId')}`,
})

/** Who claims it: nobody, where both are absent. */
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

/** The tags that a part of the index is for. */
function tagsOf(parts: TenantParts, part: string): readonly string[] {
  const encoded = part.slice(parts.ready.length)
  return encoded === '-' ? [] : (JSON.parse(decodeId(encoded)) as string[])
}

/** What a run offers, now or when its time has come. */
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
  if (workflows !== undefined && !Array.isArray(workflows)) throw invalid('workflows must be an array')
  if (tags !== undefined) encodeTags(tags)
}

/** A question with nothing left out. */
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
  /** How many of what was read can be offered first. */
  fresh: number
  /** How many were put behind. */
  behind: number
}

interface Candidate {
  readonly task: AvailableTask
  readonly stream: Stream
  readonly isBehind: boolean
  readonly key: string
}

/** How much of what is put behind is looked at per stream, so that a broken worker does not read all there is. */
const MOST_BEHIND = 1000

/** What there is to do. */
export interface Found {
  /** As many as were asked for, if there are. */
  readonly offers: readonly AvailableTask[]
  /**
   * When there may be one where there is none now, in milliseconds since 1970: the first step that waits for another
   * attempt is ready, or the first claim is over. `Infinity` where that is never.
   */
  readonly next: number
}

/** Looks for work. */
export type Find = (db: InnerDatabase, request: Request, options?: CallOptions) => Promise<Found>

/** When nobody claims a task any more whose claims count. */
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

/** Makes what looks for work. */
export function finder(parts: TenantParts): Find {
  /** The parts of the index as last seen: asked together with the question which there are. */
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
      // As the answer has told it: what waits for its next attempt lies behind, and is cut off here.
      const now = db.now()
      some.forEach((stream, i) => {
        const { entries, more } = pages[i] as EntryPage
        stream.more = more
        for (const { key, value } of entries) {
          const task = toTask(parts, { part: stream.part, key }, value)
          if (task.since > now) {
            // Also where the workflow is not known: behind it may lie what is, at no other moment than after it.
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

    /** Has every stream hold so many, if there are: the best of all are among them then. */
    async function fill(most: number): Promise<void> {
      // Where much is passed over, longer pages each time: few requests.
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
        // No levels times infinity would be no number.
        (levels && levels * agingInterval) + a.task.since - b.task.since ||
        a.task.since - b.task.since ||
        (a.key < b.key ? -1 : 1)
      )
    }

    async function addAll(): Promise<void> {
      // Another call may learn of more meanwhile.
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
    // Where much is claimed, a wider look each time: few requests, and no more than twice what is needed.
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

/** Makes what finds work. */
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
      // Before the first look: what comes between the two must not be missed.
      const unwatch = db.watch((part) => part.startsWith(parts.ready) && fits(tagsOf(parts, part), worker), ring)
      waiting.add(wake)
      try {
        for (;;) {
          // What rings during a look calls for another one.
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
