/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import type { CallOptions } from '../../core/driver.ts'
import { type BegunCompensation, type IdempotencyStore, idempotencyStore } from '../../stores/idempotency/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { BAD_IDS, BAD_NUMBERS, changesNothing, NOT_SIGNALS, spied } from '../stores.ts'
import { begun, key } from './keys.ts'

type Call<T> = (marks: IdempotencyStore, it: T, options?: CallOptions) => Promise<unknown>

/** Every method that takes a key. */
const BY_KEY: readonly Call<ReturnType<typeof key>>[] = [
  (marks, it, o) => marks.wasCompensated(it, o),
  (marks, it, o) => marks.markCompensated(it, o),
  (marks, it, o) => marks.beginCompensation(it, o),
]

/** Every method that takes a begun compensation. */
const BY_LEASE: readonly Call<BegunCompensation>[] = [
  (marks, it, o) => marks.finishCompensation(it, o),
  (marks, it, o) => marks.releaseCompensation(it, o),
]

const all = (marks: IdempotencyStore, it: BegunCompensation, o?: CallOptions): (() => Promise<unknown>)[] => [
  ...BY_KEY.map((call) => () => call(marks, key(), o)),
  ...BY_LEASE.map((call) => () => call(marks, it, o)),
  () => marks.purgeOlderThan(5, o),
]

/** Asserts that all calls are refused without a request and without a change. */
async function refused(
  t: Context,
  calls: (marks: IdempotencyStore, it: BegunCompensation) => Iterable<Promise<unknown>>,
): Promise<void> {
  const { marks, cost } = spied(t)
  const it = await begun(marks.beginCompensation(key()))
  await changesNothing(t, async () => {
    const requests = await cost(() =>
      Promise.all([...calls(marks, it)].map((call) => rejects(call, 'INVALID_ARGUMENT'))),
    )
    equal(requests, 0, 'Requests')
  })
}

/** Every member of a key is an id or a number. */
export const badKeys: Case = defineCase('ID-801', 'malformed keys of marks are refused', (t) =>
  refused(t, (marks) => [
    ...(BAD_IDS as string[]).flatMap((id) =>
      (['runId', 'workflow', 'kind', 'stepId'] as const)
        .filter((name) => name !== 'stepId' || id !== undefined)
        .flatMap((name) => BY_KEY.map((call) => call(marks, key({ [name]: id })))),
    ),
    ...(BAD_NUMBERS as number[]).flatMap((seq) => BY_KEY.map((call) => call(marks, key({ seq })))),
    ...([undefined, null, 5, 'x', [], {}] as never[]).flatMap((none) => BY_KEY.map((call) => call(marks, none))),
  ]),
)

/** Times are whole milliseconds. */
export const badTimes: Case = defineCase('ID-802', 'malformed leases, times and limits are refused', (t) =>
  refused(t, (marks, it) => [
    ...([0, 8.64e15 + 1, ...BAD_NUMBERS] as number[]).flatMap((ms) => [
      marks.markCompensated(key(), { ttl: ms }),
      marks.finishCompensation(it, { ttl: ms }),
      marks.beginCompensation(key(), { lease: ms }),
    ]),
    ...(BAD_NUMBERS as number[]).map((n) => marks.purgeOlderThan(n)),
    ...([0, ...BAD_NUMBERS] as number[]).map((limit) => marks.purgeOlderThan(5, { limit })),
    marks.purgeOlderThan(undefined as unknown as number),
  ]),
)

/** Only a result of beginCompensation is accepted. */
export const badLeases: Case = defineCase('ID-803', 'a malformed begun compensation is refused', (t) =>
  refused(t, (marks, it) => {
    const { at, id } = it.lease
    const leases = [undefined, null, 5, {}, { id }, { at }, { id: 5, at }, { id, at: null }, { id, at: {} }]
    const elsewhere = [
      { id, at: { ...at, part: 'other!marks' } },
      { id, at: { ...at, key: 5 } },
      { id, at: { ...at, key: '' } },
    ]
    return [
      ...[...leases, ...elsewhere].map((lease) => ({ ...it, lease })),
      ...[undefined, null, 5, 'x', {}],
      { state: 'pending', until: 5 },
    ].flatMap((none) => BY_LEASE.map((call) => call(marks, none as BegunCompensation)))
  }),
)

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase('ID-804', 'every method of marks refuses a malformed signal', (t) =>
  refused(t, (marks, it) =>
    (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => all(marks, it, { signal }).map((call) => call())),
  ),
)

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase(
  'ID-805',
  'with an aborted signal every method of marks is refused',
  async (t) => {
    const { marks, cost } = spied(t)
    const it = await begun(marks.beginCompensation(key()))
    await changesNothing(t, async () => {
      const requests = await cost(async () => {
        for (const call of all(marks, it, { signal: AbortSignal.abort() })) {
          equal((await rejects(call(), 'ABORTED')).ambiguous, false)
        }
      })
      equal(requests, 0)
    })
    for (const call of all(marks, it, { signal: new AbortController().signal }).slice(0, 1)) await call()
  },
)

export const afterClose: Case = defineCase('ID-806', 'after close every method of marks is refused', async (t) => {
  const { marks, db, cost } = spied(t)
  const it = await begun(marks.beginCompensation(key()))
  await db.close()
  const requests = await cost(async () => {
    for (const call of all(marks, it)) await rejects(call(), 'CLOSED')
  })
  equal(requests, 0)
})

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'ID-807',
  'a store of marks for a malformed tenant cannot be created',
  async (t) => {
    const db = t.db()
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => idempotencyStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)
