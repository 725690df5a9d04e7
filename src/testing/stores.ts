/** Short ways to the stores, and to faults around them. @module */
import type { Database, DatabaseOptions } from '../core/database.ts'
import type { Capabilities, Driver, FailedCheck } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { partName } from '../core/keys.ts'
import type { Page, PageOptions } from '../core/pages.ts'
import { type TaskClaimStore, taskClaimStore } from '../stores/claims/store.ts'
import type { NewEvent } from '../runs/events.ts'
import { type IdempotencyStore, idempotencyStore } from '../stores/idempotency/store.ts'
import { type PersistenceStore, persistenceStore } from '../stores/persistence/store.ts'
import { type SignalStore, signalStore } from '../stores/signals/store.ts'
import { type StateStore, stateStore } from '../stores/state/store.ts'
import { type TimerStore, timerStore } from '../stores/timers/store.ts'
import { type WorkflowStore, workflowStore } from '../stores/workflows/store.ts'
import { equal, ok } from './assert.ts'
import type { Backend, Context } from './case.ts'
import { type Spy, type SpyOptions, spyOn } from './spy.ts'

/** The run and the workflow that cases use if they need only one. */
export const RUN = 'run-1'
export const WORKFLOW = 'order'

/** Both stores of a tenant over a database of their own. */
export interface Stores {
  readonly db: Database
  readonly state: StateStore
  readonly log: PersistenceStore
  readonly signals: SignalStore
  readonly timers: TimerStore
  readonly marks: IdempotencyStore
  readonly claims: TaskClaimStore
  readonly workflows: WorkflowStore
}

/** Stores with empty caches, over the driver or another one. */
export function stores(t: Context, options: Partial<DatabaseOptions> = {}, tenant: string = t.tenant): Stores {
  const db = t.db(options)
  return {
    db,
    state: stateStore(db, { tenant }),
    log: persistenceStore(db, { tenant }),
    signals: signalStore(db, { tenant }),
    timers: timerStore(db, { tenant }),
    marks: idempotencyStore(db, { tenant }),
    claims: taskClaimStore(db, { tenant }),
    workflows: workflowStore(db, { tenant }),
  }
}

/** Stores whose requests are counted. */
export interface SpiedStores extends Stores {
  readonly spy: Spy
  /** Counts the requests of a call. */
  cost(run: () => Promise<unknown>): Promise<number>
}

/** Creates stores over a spy. */
export function spied(t: Context, options?: SpyOptions, driver: Driver = t.driver): SpiedStores {
  const spy = spyOn(driver, options)
  const count = (): number => spy.commits.length + spy.reads.length
  return {
    ...stores(t, { driver: spy.driver }),
    spy,
    async cost(run) {
      const before = count()
      await run()
      return count() - before
    },
  }
}

/** Several stores that share only the data. */
export const several = (t: Context, n: number): Stores[] => Array.from({ length: n }, () => stores(t))

/** An event of {@link RUN}, or another one. */
export const event = (kind: string, more: Partial<NewEvent> = {}): NewEvent => ({
  runId: RUN,
  workflow: WORKFLOW,
  kind,
  ...more,
})

/** A driver that can lose answers. */
export interface Losing {
  readonly driver: Driver
  /** The next commits succeed, but their answers are replaced by an ambiguous error. */
  lose(commits?: number): void
}

/** Wraps a driver so that answers can be lost. */
export function losing(driver: Driver): Losing {
  let left = 0
  return {
    driver: {
      ...driver,
      async commit(request, options) {
        const answer = await driver.commit(request, options)
        if (left === 0) return answer
        left--
        throw new HoldfastError('UNAVAILABLE', 'The answer was lost', { retryable: true, ambiguous: true })
      },
    },
    lose: (commits = 1) => void (left = commits),
  }
}

/** The same driver, whose answers have no room for the values of failed checks. */
export const leavingOut = (driver: Driver): Driver => ({
  ...driver,
  async commit(request, options) {
    const { now, outcomes } = await driver.commit(request, options)
    const headOf = (current: FailedCheck['current']): FailedCheck['current'] => {
      if (current === null || 'last' in current) return current
      const { key, version, expiresAt } = current
      return { key, version, expiresAt }
    }
    return {
      now,
      outcomes: outcomes.map((outcome) =>
        outcome.ok
          ? outcome
          : { ok: false, failed: outcome.failed.map((it) => ({ ...it, current: headOf(it.current) })) },
      ),
    }
  },
})

/** The same driver without announcements. */
export function deaf(driver: Driver): Driver {
  const copy = { ...driver }
  delete copy.watch
  return copy
}

/** The gate of cases that need announcements. */
export const announces = (_: Capabilities, { driver }: Backend): boolean => driver.watch !== undefined

/** Asserts that a call changes nothing. */
export async function changesNothing(t: Context, run: () => Promise<unknown>): Promise<void> {
  const before = await t.dump()
  await run()
  equal(await t.dump(), before, 'What the backend holds')
}

/** Whether anything that the backend stores contains this text. */
export const mentions = async (t: Context, marker: string): Promise<boolean> =>
  (await t.dump()).some((item) => (typeof item === 'string' ? item : JSON.stringify(item)).includes(marker))

/** All entries except fencing tokens, which outlive their runs without naming them. */
export async function entriesOf(t: Context): Promise<unknown[]> {
  const parts = (await t.parts()).filter((part) => partName(part)?.family !== 'tokens')
  return Promise.all(parts.map(async (part) => [part, await t.all({ part })]))
}

/** Fails after a time, instead of waiting for ever. */
export async function soon<T>(promise: Promise<T>): Promise<T> {
  let stop = (): void => {}
  const late = new Promise<'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), 10_000)
    stop = () => clearTimeout(timer)
  })
  try {
    ok((await Promise.race([promise, late])) !== 'late', 'It comes to an end')
    return await promise
  } finally {
    stop()
  }
}

/** All items of a list, read in pages of this size. */
export async function byPage<T>(list: (options: PageOptions) => Promise<Page<T>>, limit: number): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const page = await list({ limit, cursor })
    ok(page.items.length <= limit, 'A page holds at most as many items as asked for')
    items.push(...page.items)
    cursor = page.cursor
  } while (cursor !== undefined)
  return items
}

/** All items of an iterator. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** The outcome of a promise: its value, or the code of its error. */
export const verdict = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: HoldfastError) => error.code)

/** The first element, which must exist. */
export function first<T>(items: readonly T[]): T {
  const [item] = items
  ok(item !== undefined, 'Something was found')
  return item
}

/** Compares by code point, the order of ids. The operator `<` compares by code unit. */
export function byCodePoint(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)]
  const at = x.findIndex((char, i) => char !== y[i])
  return at < 0 ? x.length - y.length : x[at]!.codePointAt(0)! - (y[at]?.codePointAt(0) ?? -1)
}

/** Ids that have broken backends, each different from all others. */
export const ODD_IDS: readonly string[] = [
  ...['a', 'A', 'a:b', 'a/b', 'a_b', 'a.b', 'aa', 'a ', ' a', 'a\0', 'a\0b', 'a!', 'a!b', 'a"b', 'a#b', 'a$b', 'a~b'],
  ...[':', '{', '}', '{}', '{a}', '%', '%25', '_', '*', '?', '[', ']', '[a-z]', '\\', '\\0', '|', '/', '//', "'", '"'],
  ...['`', '.', '..', ' ', '\n', '\r\n', '\t', '\0', '\u007f', '!', '#', '#00', '#0w', '~', '~~', '~0000', '$', '$1'],
  ...['é', 'e\u0301', 'ß', 'ſ', 'İ', 'i', 'ı', '中', '\ue000', '\ufeff', '\uffff', '😀', '😀😀', '\u{10ffff}'],
  ...['__proto__', 'constructor', 'toString', 'null', 'undefined', 'NaN', '0', '00', '-1', '1e3', 'true'],
  ...['run', 'runs', 'values', 'snapshot', 'snapshots', 'consumed', 'event!', 'event!0000000000000001', 'value!a'],
  ...["'; DROP TABLE entries; --", '../../etc/passwd', 'x'.repeat(256), 'é'.repeat(128), '😀'.repeat(64)],
]

/** Values that are not ids. */
export const BAD_IDS: readonly unknown[] = [
  ...['', 'x'.repeat(257), 'é'.repeat(129), '\ud800', 'a\udc00', 'x'.repeat(100_000)],
  ...[undefined, null, 0, 7, true, {}, ['a'], Symbol.iterator, { $ne: '' }],
]

/** Values that are not counts. */
export const BAD_NUMBERS: readonly unknown[] = [-1, 0.5, 2 ** 53, Number.NaN, Infinity, -Infinity, '1', null, {}, 1n]

/** Values that are not signals. */
export const NOT_SIGNALS: readonly unknown[] = [null, {}, 'abort', 1, true, { aborted: false }]

/** A structured value with everything that JSON lacks. */
export const structured = (): Record<string, unknown> => ({
  nothing: null,
  undefined: undefined,
  yes: true,
  numbers: [0, -0, 1.5, Number.NaN, Infinity, -Infinity, Number.MAX_SAFE_INTEGER, 5e-324],
  bigints: [0n, -1n, 2n ** 70n],
  texts: ['', '\0', '"', '\\', 'é😀', '\ufeff', '{"$1":"Date"}'],
  dates: [new Date(0), new Date(Number.NaN)],
  empty: [[], {}, new Map(), new Set(), new Uint8Array(), new ArrayBuffer(0)],
  bytes: Uint8Array.from({ length: 256 }, (_, i) => i),
  map: new Map<unknown, unknown>([
    ['a', new Set([1, new Date(1)])],
    [{ key: 1 }, undefined],
  ]),
  // An own property named __proto__, not the prototype.
  ...(JSON.parse('{"a":{"__proto__":{"b":1},"constructor":null,"":0}}') as object),
  tags: { $1: 'Date', $$1: 'x', $: 1, value: '2026-01-01', $2: [] },
})
