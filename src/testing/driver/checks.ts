/** Checks: the conditions of a commit. @module */
import { equal, ok } from '../assert.ts'
import { absent, append, at, ends, put, remove, unchanged } from '../build.ts'
import { type Case, defineCase } from '../case.ts'

/** A check of the current version holds once. */
export const versionHolds: Case = defineCase(
  'DR-201',
  'a check of the current version holds, and of an older one fails',
  async (t) => {
    const { version } = await t.write(put('k', '1'))
    equal((await t.commit({ checks: [unchanged('k', version)], ops: [put('k', '2')] })).ok, true)
    equal((await t.commit({ checks: [unchanged('k', version)], ops: [put('k', '3')] })).ok, false)
    equal((await t.get(at('k')))?.value, '2')
  },
)

/** `version: null` means absent. */
export const absentHolds: Case = defineCase('DR-202', 'a check for absence holds until the entry exists', async (t) => {
  equal((await t.commit({ checks: [absent('k')], ops: [put('k', 'first')] })).ok, true)
  equal((await t.commit({ checks: [absent('k')], ops: [put('k', 'second')] })).ok, false)
  await t.write(remove('k'))
  equal((await t.commit({ checks: [absent('k')], ops: [put('k', 'third')] })).ok, true)
  equal((await t.get(at('k')))?.value, 'third')
})

/** A failed check returns the current entry, so that the caller need not read. */
export const failedCheckShowsCurrent: Case = defineCase(
  'DR-203',
  'a failed check returns the current entry',
  async (t) => {
    const text = await t.write(put('text', 'there', { in: 600_000 }))
    const bytes = await t.write(put('bytes', new Uint8Array([0, 1, 255])))
    equal(await t.commit({ checks: [absent('text'), unchanged('bytes', 'another')], ops: [remove('text')] }), {
      ok: false,
      failed: [
        { check: 0, current: { key: 'text', version: text.version, value: 'there', expiresAt: text.now + 600_000 } },
        {
          check: 1,
          current: { key: 'bytes', version: bytes.version, value: new Uint8Array([0, 1, 255]), expiresAt: null },
        },
      ],
    })
  },
)

/** `failed` lists every check that failed, and no other. */
export const allFailedReported: Case = defineCase(
  'DR-204',
  'every failed check is reported under its index',
  async (t) => {
    const { version } = await t.write(
      ...['a', 'c', 'd'].map((key) => put(key, '1')),
      append('log!', 'x'),
      append('other!', 'x'),
    )
    const current = (key: string) => ({ key, version, value: '1', expiresAt: null })
    const checks = [
      absent('nothing'),
      absent('a'),
      unchanged('c', version),
      unchanged('nowhere', version),
      ends('log!', 1),
      ends('other!', 0),
      unchanged('d', 'another'),
    ]
    equal(await t.commit({ checks, ops: [put('b', '1')] }), {
      ok: false,
      failed: [
        { check: 1, current: current('a') },
        { check: 3, current: null },
        { check: 5, current: { last: 1 } },
        { check: 6, current: current('d') },
      ],
    })
    equal(await t.get(at('b')), null)
  },
)

/** All checks are evaluated before any op of the commit. */
export const checksBeforeOps: Case = defineCase(
  'DR-205',
  'ops do not affect the checks of their own commit',
  async (t) => {
    const { version } = await t.write(put('old', '1'), append('log!', 'x'))
    const holding = await t.commit({
      checks: [absent('new'), unchanged('old', version), ends('log!', 1)],
      ops: [put('new', '1'), remove('old'), append('log!', 'y')],
    })
    equal(holding, { ok: true, seqs: [2] }, 'The ops would break every check')
    const failing = await t.commit({
      checks: [absent('new'), ends('log!', 3)],
      ops: [remove('new'), append('log!', 'z')],
    })
    ok(!failing.ok, 'The ops would mend every check')
    equal(
      failing.failed.map(({ check }) => check),
      [0, 1],
    )
    ok(await t.get(at('new')), 'Nothing was removed')
  },
)

/** A bulk delete comes before all other ops, but after the checks. */
export const checksBeforeBulkDeletes: Case = defineCase(
  'DR-206',
  'bulk deletes come after the checks of their commit',
  async (t) => {
    await t.write(put('k', '1'))
    const range = { part: at('k').part, start: 'a', end: 'z' }
    equal((await t.commit({ checks: [absent('k')], ops: [{ deleteRange: range }] })).ok, false)
    equal((await t.commit({ checks: [absent('k')], ops: [{ deletePart: range.part }] })).ok, false)
    equal((await t.get(at('k')))?.value, '1')
  },
)

/** A version never repeats: a value deleted and written again is another entry. */
export const noAba: Case = defineCase('DR-207', 'the same value written again has another version', async (t) => {
  const { version } = await t.write(put('k', 'same'))
  await t.write(remove('k'))
  await t.write(put('k', 'same'))
  equal((await t.commit({ checks: [unchanged('k', version)], ops: [put('k', 'mine')] })).ok, false)
  await t.write(put('k', 'same'))
  equal((await t.get(at('k')))?.value, 'same')
})

/** A check may concern any key, even in a part that the commit does not write. */
export const checksElsewhere: Case = defineCase(
  'DR-208',
  'a commit may check parts that it does not change',
  async (t) => {
    const { version } = await t.write(put(at('lease', 'elsewhere'), 'mine'))
    const draft = { checks: [unchanged(at('lease', 'elsewhere'), version)], ops: [put('k', 'fenced')] }
    equal((await t.commit(draft)).ok, true)
    await t.write(put(at('lease', 'elsewhere'), 'theirs'))
    equal((await t.commit(draft)).ok, false)
  },
)

/** A commit checks a key at most once; the commits of one request are judged separately. */
export const twoChecksOfOneKey: Case = defineCase(
  'DR-209',
  'a key may be checked by several commits of a request, and contradict each other',
  async (t) => {
    const { version } = await t.write(put('k', 'v'))
    const { outcomes } = await t.send([
      { checks: [unchanged('k', version)], ops: [put('a', '1')] },
      { checks: [absent('k')], ops: [put('b', '1')] },
      { checks: [unchanged('k', version)], ops: [put('c', '1')] },
    ])
    equal(
      outcomes.map((outcome) => outcome.ok || outcome.failed.map(({ check }) => check)),
      [true, [0], true],
    )
    equal(await t.keys(), ['a', 'c', 'k'])
  },
)

/** Log entries, and the entry named by `ref`, are entries like all others. */
export const checksOfLogEntries: Case = defineCase(
  'DR-210',
  'entries that an append wrote can be checked',
  async (t) => {
    const { version } = await t.write(append('log!', 'x', 'ref'))
    const again = await t.commit({ checks: [absent('ref')], ops: [append('log!', 'x', 'ref')] })
    equal(again, {
      ok: false,
      failed: [{ check: 0, current: { key: 'ref', version, value: '1', expiresAt: null } }],
    })
    equal((await t.commit({ checks: [unchanged('log!0000000000000001', version)], ops: [] })).ok, true)
  },
)
