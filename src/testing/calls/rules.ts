/** The rules for every call of every store: one case per rule and store. @module */
import type { Duration } from '../../core/duration.ts'
import { equal, ok, rejects } from '../assert.ts'
import { type Case, type Context, type CaseId, defineCase } from '../case.ts'
import { changesNothing, collect, event, spied, type Stores, stores, verdict, WORKFLOW } from '../stores.ts'
import {
  CLAIMS,
  compensation,
  type Given,
  IDEMPOTENCY,
  type Method,
  PERSISTENCE,
  SIGNALS,
  STATE,
  TIMERS,
  WORKFLOWS,
} from './methods.ts'

/** A store, and the start of its case ids. */
interface Subject {
  readonly group: 'ST' | 'PE' | 'WF' | 'SI' | 'CL' | 'ID'
  readonly first: number
  readonly store: Exclude<keyof Stores, 'db'>
  readonly methods: Readonly<Record<string, unknown>>
  /** Methods that have no options. */
  readonly without?: readonly string[]
}

const SUBJECTS: readonly Subject[] = [
  { group: 'ST', first: 951, store: 'state', methods: STATE },
  { group: 'PE', first: 951, store: 'log', methods: PERSISTENCE },
  { group: 'WF', first: 951, store: 'workflows', methods: WORKFLOWS },
  { group: 'SI', first: 951, store: 'signals', methods: SIGNALS },
  { group: 'SI', first: 961, store: 'timers', methods: TIMERS },
  { group: 'CL', first: 951, store: 'claims', methods: CLAIMS, without: ['wake'] },
  { group: 'ID', first: 951, store: 'marks', methods: IDEMPOTENCY },
]

type Call = (...args: readonly unknown[]) => unknown

const methodsOf = ({ methods }: Subject): readonly (readonly [name: string, method: Method])[] =>
  Object.entries(methods as Readonly<Record<string, Method>>)

/** Calls a method and waits for its answer; for an endless iterator, for its first item. */
async function answerOf(s: Stores, { store }: Subject, name: string, args: readonly unknown[]): Promise<unknown> {
  const it = s[store] as unknown as Readonly<Record<string, Call>>
  const answer = it[name]!(...args)
  if (typeof answer !== 'object' || answer === null || !(Symbol.asyncIterator in answer)) return answer
  if (name !== 'watch' && name !== 'follow') return collect(answer as AsyncIterable<unknown>)
  for await (const item of answer as AsyncIterable<unknown>) return item
  return undefined
}

/** A running run with a waiting step, a claim, and a compensation under way, all named after the key. */
async function prepare({ log, workflows, claims, marks }: Stores, key: string): Promise<Given> {
  const runId = `run of ${key}`
  const waitId = `wait of ${key}`
  await log.append(event('a', { runId }))
  await workflows.upsertStep(runId, { stepId: 'ask', status: 'waiting', waitId })
  const claim = await claims.claimTask({ runId, workerId: 'w' })
  const begun = await marks.beginCompensation(compensation(`begun ${key}`))
  ok(claim && begun.state === 'begun', 'Both are new')
  return { runId, key, waitId, claim, begun }
}

/** The same names, none of which exists. */
async function prepareNothing(s: Stores): Promise<Given> {
  const given = await prepare(s, 'missing')
  await s.claims.releaseTaskClaim(given.claim)
  await s.marks.releaseCompensation(given.begun)
  await s.workflows.deleteRun(given.runId)
  return given
}

/** Values that are not options, though callers pass them. Made when asked for: Workers allow no signals at module scope. */
const noOptions = (): readonly unknown[] => [
  ...[null, 0, 60_000, '', '1 h', true, 5n, Symbol.iterator, [], ['ttl'], () => ({})],
  ...[new Map([['ttl', 5]]), new Set(), new Date(), new Uint8Array(2), AbortSignal.abort()],
]

const BAD_DURATIONS = [
  ...[-1, 0.5, Number.NaN, -Infinity, 8.64e15 + 2, null, {}, [], true, 5n],
  ...['', 'soon', '5', '1 y', '-1 s', ' 1 s', '1  s', '1e3 s', '1 s ', '1 S', '100000001 d'],
] as unknown as readonly Duration[]

function complete(subject: Subject, id: CaseId): Case {
  return defineCase(id, `the table of calls has every method of ${subject.store}`, async (t) => {
    const it = stores(t)[subject.store]
    const expected = [...Object.keys(subject.methods), ...(subject.without ?? [])]
    equal(Object.keys(it).toSorted(), expected.toSorted())
  })
}

/** Asserts that calls are refused before any I/O. */
async function refused(t: Context, calls: (s: Stores) => Promise<unknown>): Promise<void> {
  const s = spied(t)
  await changesNothing(t, async () => equal(await s.cost(() => calls(s)), 0, 'Requests'))
}

function unknownOptions(subject: Subject, id: CaseId): Case {
  return defineCase(id, `every method of ${subject.store} refuses unknown options`, async (t) => {
    const given = await prepare(stores(t), 'k')
    await refused(t, async (s) => {
      for (const [name, { args, needs }] of methodsOf(subject)) {
        for (const option of ['unknown', 'TTL', 'toString', 'constructor']) {
          const options = { ...needs, [option]: undefined }
          const { details } = await rejects(answerOf(s, subject, name, [...args(given), options]), 'INVALID_ARGUMENT')
          equal(details?.['option'], option, name)
        }
        for (const options of noOptions()) {
          const found = await verdict(answerOf(s, subject, name, [...args(given), options]))
          equal(found, 'INVALID_ARGUMENT', `${name} with ${String(options)}`)
        }
      }
    })
  })
}

function knownOptions(subject: Subject, id: CaseId): Case {
  return defineCase(id, `every method of ${subject.store} accepts its options, and works without them`, async (t) => {
    const s = stores(t)
    for (const [name, { args, options, needs }] of methodsOf(subject)) {
      const all = { ...Object.fromEntries(Object.keys(options).map((option) => [option, undefined])), ...needs }
      for (const [i, given] of [needs === undefined ? [] : [needs], [all]].entries()) {
        const found = await verdict(answerOf(s, subject, name, [...args(await prepare(s, `${name} ${i}`)), ...given]))
        ok(found !== 'INVALID_ARGUMENT', `${name} takes ${Object.keys(all).join(', ')}`)
      }
    }
  })
}

function durations(subject: Subject, id: CaseId): Case {
  return defineCase(id, `a time is a duration in every method of ${subject.store}`, async (t) => {
    const timed = methodsOf(subject).flatMap(([name, { times = [] }]) => times.map((args) => [name, args] as const))
    const given = await prepare(stores(t), 'k')
    await refused(t, async (s) => {
      for (const [name, args] of timed) {
        for (const duration of BAD_DURATIONS) {
          const found = await verdict(answerOf(s, subject, name, args(given, duration)))
          equal(found, 'INVALID_ARGUMENT', `${name} with ${String(duration)}`)
        }
      }
    })
    const s = stores(t)
    for (const [n, duration] of (['900 ms', '0.9s', 900] as const).entries()) {
      for (const [i, [name, args]] of timed.entries()) {
        const found = await verdict(answerOf(s, subject, name, args(await prepare(s, `${n} ${i}`), duration)))
        ok(found !== 'INVALID_ARGUMENT', `${name} takes ${duration}`)
      }
    }
  })
}

function missing(subject: Subject, id: CaseId): Case {
  return defineCase(id, `every method of ${subject.store} gives one answer for a missing run or value`, async (t) => {
    const s = stores(t)
    const given = await prepareNothing(s)
    const asked = methodsOf(subject).filter(([, method]) => method.missing !== undefined)
    await changesNothing(t, async () => {
      for (const [name, { args, needs, missing }] of asked) {
        const options = needs === undefined ? [] : [needs]
        for (const it of [s, stores(t)]) {
          const found = await verdict(answerOf(it, subject, name, [...args(given), ...options]))
          equal(found, Array.isArray(missing) ? missing[0] : missing, name)
        }
      }
    })
  })
}

function ended(subject: Subject, id: CaseId): Case {
  return defineCase(
    id,
    `every method of ${subject.store} refuses an ended run with one code, or accepts it`,
    async (t) => {
      const s = stores(t)
      for (const [name, { args, needs, ended }] of methodsOf(subject)) {
        if (ended === undefined) continue
        const given = await prepare(s, name)
        await s.log.complete(given.runId, 'completed')
        const call = () => answerOf(s, subject, name, [...args(given), ...(needs === undefined ? [] : [needs])])
        if (ended === 'accepted') await call()
        else {
          await changesNothing(t, async () => {
            const { details } = await rejects(call(), 'ALREADY_COMPLETED')
            equal(details?.['completion'], 'completed', name)
          })
        }
      }
    },
  )
}

/** A list, and the iterator over the same items. */
const pairsOf = (subject: Subject): readonly (readonly [list: string, each: string])[] =>
  Object.keys(subject.methods).flatMap((name) => {
    if (name === 'loadEvents') return [[name, 'events'] as const]
    const [, first, rest] = /^list([A-Z])(\w*)$/.exec(name) ?? []
    return first === undefined ? [] : [[name, `${first.toLowerCase()}${rest}`] as const]
  })

function lists(subject: Subject, id: CaseId): Case {
  return defineCase(id, `every list of ${subject.store} comes by page and as an iterator`, async (t) => {
    const s = stores(t, {}, t.tenant)
    const methods = new Map(methodsOf(subject))
    for (const [list, each] of pairsOf(subject)) {
      equal(
        Object.keys(methods.get(each)?.options ?? {}).toSorted(),
        Object.keys(methods.get(list)!.options).toSorted(),
      )
      const given = await prepare(s, list)
      const { runId, key } = given
      for (const n of [1, 2, 3]) {
        await s.state.set(`${key} ${n}`, 'v')
        await s.state.saveSnapshot({ runId, workflow: WORKFLOW, state: n })
        await s.log.append(event('b', { runId }))
        await s.signals.sendMessage(runId, 'n', n)
        await s.workflows.upsertStep(runId, { stepId: `s${n}` })
      }
      const items = (await answerOf(s, subject, each, [...methods.get(list)!.args(given), { limit: 2 }])) as unknown[]
      const found: unknown[] = []
      let cursor: string | undefined
      do {
        const options = { limit: 2, cursor }
        const page = (await answerOf(s, subject, list, [...methods.get(list)!.args(given), options])) as {
          readonly items: readonly unknown[]
          readonly cursor?: string
        }
        ok(page.items.length <= 2, list)
        found.push(...page.items)
        cursor = page.cursor
      } while (cursor !== undefined)
      equal(items, found, list)
      // The history of snapshots is an option of the store.
      ok(list === 'listHistory' || found.length > 0, `${list} has something to give`)
    }
  })
}

const RULES = [complete, unknownOptions, knownOptions, durations, missing, ended, lists]

/** One case per rule and store. */
export const ruleCases: Readonly<Record<string, Case>> = Object.fromEntries(
  SUBJECTS.flatMap((subject) =>
    RULES.map((rule, i) => {
      const id: CaseId = `${subject.group}-${subject.first + i}`
      return [id, rule(subject, id)] as const
    }),
  ),
)
