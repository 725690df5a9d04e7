/** Random requests over few names, so that they meet. Everything is well-formed, as a driver may expect. */
import fc from 'fast-check'
import type { Check, Commit, Expiry, EntryKey, Op, Read, Value } from '../../src/core/driver.ts'
import type { Naive } from './naive.ts'

/** A check whose version or number is filled in when it is made: what is there, or something else. */
type CheckPlan =
  | { readonly at: EntryKey; readonly want: 'right' | 'wrong' | 'absent' }
  | { readonly log: EntryKey; readonly off: number }

export interface CommitPlan {
  readonly checks: readonly CheckPlan[]
  readonly ops: readonly Op[]
  readonly durability: 'strict' | 'relaxed'
}

export type Step =
  | { readonly commit: readonly CommitPlan[] }
  | { readonly read: readonly Read[] }
  | { readonly advance: number }

/** When the clock starts: so late that no server forgets by its own clock what ours has yet to expire. */
export const START = 4_000_000_000_000

const PARTS = ['p', 'p!q', 'p q', 'P', 'p~']
const LOGS = ['log!', 'm!']
/** None of them lies under a log. */
const KEYS = ['a', 'A', 'a!', 'a!b', 'a"', 'a%', 'a_', 'a~0', 'b', 'lo', 'log', 'log"', 'ref!1', 'ref!2', '~']
const NUMBERS = [1, 2, 3, 9, 10, 11, 100]
const LOG_KEYS = LOGS.flatMap((log) => NUMBERS.map((n) => log + String(n).padStart(16, '0')))
const BOUNDS = [' ', '!', 'Z', ...KEYS, ...LOGS, 'log!0000000000000002 ', ...LOG_KEYS, 'zz', '~~']

const part = fc.constantFrom(...PARTS)
const plainKey = fc.constantFrom(...KEYS)
const log: fc.Arbitrary<EntryKey> = fc.record({ part, key: fc.constantFrom(...LOGS) })
const plainAt: fc.Arbitrary<EntryKey> = fc.record({ part, key: plainKey })
const anyAt: fc.Arbitrary<EntryKey> = fc.record({ part, key: fc.constantFrom(...KEYS, ...LOG_KEYS) })
const bounds = fc.record({ part, start: fc.constantFrom(...BOUNDS), end: fc.constantFrom(...BOUNDS) })

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>('', '0', '007', '1e3', 'null', 'a\u0001b', '\ufeffx', 'ß𝄞\uffff', new Uint8Array(0)),
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
  fc.uint8Array({ maxLength: 12 }),
  // Longer than what SQLite keeps with its key, in pages of 4 kB and of 8.
  fc.constantFrom<Value>('l'.repeat(1500), 'é'.repeat(1500), new Uint8Array(1500), new Uint8Array(3000).fill(1)),
)

const expires: fc.Arbitrary<Expiry> = fc.oneof(
  fc.record({ in: fc.constantFrom(1, 2, 10, 1000) }),
  fc.record({ at: fc.integer({ min: START - 5, max: START + 60 }) }),
)

const put: fc.Arbitrary<Op> = fc.oneof(fc.record({ put: plainAt, value }), fc.record({ put: plainAt, value, expires }))
const append: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ append: log, value }),
  fc.record({ append: log, value, ref: fc.constantFrom('ref!1', 'ref!2', 'a') }),
)

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 6, arbitrary: append },
  { weight: 2, arbitrary: fc.record({ delete: anyAt }) },
  { weight: 1, arbitrary: fc.record({ deleteRange: bounds }) },
  { weight: 1, arbitrary: fc.record({ deletePart: part }) },
)

const check: fc.Arbitrary<CheckPlan> = fc.oneof(
  fc.record({ at: anyAt, want: fc.constantFrom('right' as const, 'right' as const, 'wrong' as const) }),
  fc.record({ at: plainAt, want: fc.constantFrom('right' as const, 'absent' as const) }),
  fc.record({ log, off: fc.constantFrom(0, 0, 0, 1, -1) }),
)

const checkedKey = (plan: CheckPlan): string => {
  const { part, key } = 'at' in plan ? plan.at : plan.log
  return `${part}\n${key}`
}

const commit: fc.Arbitrary<CommitPlan> = fc.record({
  checks: fc.uniqueArray(check, { maxLength: 2, selector: checkedKey }),
  ops: fc.array(op, { maxLength: 4 }).map(touchOnce),
  durability: fc.constantFrom('relaxed', 'relaxed', 'strict'),
})

const limit = fc.constantFrom(1, 2, 3, 100)

const read: fc.Arbitrary<Read> = fc.oneof(
  fc.record({ get: anyAt }),
  fc.record({
    range: fc
      .tuple(bounds, limit, fc.boolean(), fc.boolean())
      .map(([inside, limit, reverse, keysOnly]) => ({ ...inside, limit, reverse, keysOnly })),
  }),
  fc.record({
    parts: fc.record({
      start: fc.constantFrom(' ', ...PARTS),
      end: fc.constantFrom(...PARTS, '~~'),
      limit,
    }),
  }),
)

/** A random history. */
export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ commit: fc.array(commit, { minLength: 1, maxLength: 5 }) }) },
    { weight: 4, arbitrary: fc.record({ read: fc.array(read, { minLength: 1, maxLength: 4 }) }) },
    { weight: 2, arbitrary: fc.record({ advance: fc.constantFrom(1, 2, 9, 30, 1000) }) },
  ),
  { minLength: 1, maxLength: 30, size: 'max' },
)

/** Leaves out the ops that touch a key a second time, and deletes inside a log that the commit appends to. */
function touchOnce(ops: readonly Op[]): Op[] {
  const touched = new Set<string>()
  const claim = (part: string, key: string): boolean => {
    const name = `${part}\n${key}`
    return touched.has(name) ? false : (touched.add(name), true)
  }
  const grows = ({ part, key }: EntryKey): boolean =>
    ops.some((other) => 'append' in other && other.append.part === part && key.startsWith(other.append.key))
  return ops.filter((op) => {
    if ('put' in op) return claim(op.put.part, op.put.key)
    if ('delete' in op) return !grows(op.delete) && claim(op.delete.part, op.delete.key)
    return !('append' in op) || op.ref === undefined || claim(op.append.part, op.ref)
  })
}

/** Makes commits of plans, by what the model holds before them. */
export const toCommits = (plans: readonly CommitPlan[], model: Naive, newId: () => string): Commit[] =>
  plans.map(({ checks, ops, durability }) => ({ id: newId(), checks: checks.map(fill(model)), ops, durability }))

const fill =
  (model: Naive) =>
  (plan: CheckPlan): Check => {
    if ('log' in plan) return { log: plan.log, last: Math.max(0, model.lastOf(plan.log) + plan.off) }
    const versions = { right: model.versionAt(plan.at), wrong: 'id-that-never-was', absent: null }
    return { at: plan.at, version: versions[plan.want] }
  }
