/** Logs that are trimmed from the front, and continue. @module */
import { equal, rejects } from '../assert.ts'
import { append, at, ends, entryKey, put, remove, removePart, removeRange, trim, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'

const LOG = { start: 'log!', end: 'log"' } as const

/** The seqs of a log, and the values. */
const log = async (t: Context): Promise<unknown> =>
  (await t.all(LOG)).map(({ key, value }) => [Number(key.slice(-16)), value])

/** Retention: the beginning is removed, and the last seq removed is kept. */
export const trimmed: Case = defineCase('DR-1401', 'trim removes the entries up to a seq', async (t) => {
  await t.writeAll(upTo(12).map((n) => append('log!', String(n))))
  await t.write(put('log', 'beside'), append('logs!', 'beside'))
  const { version, seqs } = await t.write(trim('log!', 10))
  equal(seqs, [])
  equal(await log(t), [
    [0, '10'],
    [11, '11'],
    [12, '12'],
  ])
  equal(await t.get(at(entryKey('log!', 0))), { key: entryKey('log!', 0), version, value: '10', expiresAt: null })
  equal(await t.commit({ checks: [ends('log!', 12)], ops: [append('log!', '13')] }), { ok: true, seqs: [13] })
  equal((await t.get(at('log')))?.value, 'beside')
  equal((await t.get(at(entryKey('logs!', 1))))?.value, 'beside')
})

/** Unlike deleting the range, it keeps a reader's cursor valid. */
export const emptied: Case = defineCase('DR-1402', 'a log trimmed to its end continues', async (t) => {
  await t.write(append('log!', 'a'), append('log!', 'b'))
  await t.write(trim('log!', 2))
  equal(await log(t), [[0, '2']])
  equal(await t.commit({ checks: [ends('log!', 2)], ops: [] }), { ok: true, seqs: [] })
  equal(await t.commit({ checks: [ends('log!', 0)], ops: [] }), {
    ok: false,
    failed: [{ check: 0, current: { last: 2 } }],
  })
  const { seqs } = await t.write(append('log!', 'c', 'ref'), append('log!', 'd'))
  equal(seqs, [3, 4])
  equal((await t.get(at('ref')))?.value, '3')
  await t.write(trim('log!', 4))
  await t.write(append('log!', 'e'))
  equal(await log(t), [
    [0, '4'],
    [5, 'e'],
  ])
})

/** A seq beyond the end means the end: nothing is skipped. */
export const beyond: Case = defineCase('DR-1403', 'trim beyond the end stops at the end', async (t) => {
  await t.write(append('log!', 'a'))
  await t.write(trim('log!', Number.MAX_SAFE_INTEGER))
  equal(await log(t), [[0, '1']])
  equal((await t.write(append('log!', 'b'))).seqs, [2])
})

/** Retention runs repeatedly. */
export const again: Case = defineCase('DR-1404', 'trimming again changes nothing', async (t) => {
  await t.write(trim('log!', 5))
  equal(await t.all(), [], 'A log that is not there stays so')
  await t.writeAll(upTo(5).map((n) => append('log!', String(n))))
  await t.write(trim('log!', 3))
  const before = await t.all()
  await t.write(trim('log!', 3))
  await t.write(trim('log!', 1))
  equal(await t.all(), before)
})

/** Trims come before the other ops of a commit, like bulk deletes. */
export const inOneCommit: Case = defineCase('DR-1405', 'trim and append in one commit', async (t) => {
  await t.write(append('log!', 'a'), append('log!', 'b'))
  const { seqs } = await t.write(append('log!', 'c'), trim('log!', 3), append('log!', 'd'))
  equal(seqs, [3, 4])
  equal(await log(t), [
    [0, '2'],
    [3, 'c'],
    [4, 'd'],
  ])
  const { outcomes } = await t.send([
    { ops: [trim('log!', 4)] },
    { checks: [ends('log!', 4)], ops: [append('log!', 'e')] },
    { checks: [ends('log!', 0)], ops: [trim('log!', 5)] },
  ])
  equal(
    outcomes.map((outcome) => outcome.ok),
    [true, true, false],
  )
  equal(await log(t), [
    [0, '4'],
    [5, 'e'],
  ])
})

/** Deleting the whole log still restarts it. */
export const restarts: Case = defineCase('DR-1406', 'a trimmed log that is deleted starts again at 1', async (t) => {
  for (const gone of [removeRange('log!', 'log"'), removePart()]) {
    await t.write(append('log!', 'a'), append('log!', 'b'))
    await t.write(trim('log!', 1))
    await t.write(gone)
    equal(await t.commit({ checks: [ends('log!', 0)], ops: [] }), { ok: true, seqs: [] })
    equal((await t.write(append('log!', 'a'))).seqs, [1])
    await t.write(removePart())
  }
})

/** Restoring a trimmed log from a backup. */
export const carriedOver: Case = defineCase('DR-1407', 'a restored trimmed log continues', async (t) => {
  const version = t.id()
  await t.send([{ id: version, ops: [put(entryKey('log!', 0), '41')] }])
  equal(await t.commit({ checks: [ends('log!', 41)], ops: [append('log!', 'x')] }), { ok: true, seqs: [42] })
  equal((await t.get(at(entryKey('log!', 0))))?.version, version)
})

/** A log is recognised by its seqs: one foreign key must not end it with an obscure error. */
export const foreign: Case = defineCase(
  'DR-1408',
  'an append after a key that is not a seq is refused with its request, and nothing changes',
  async (t) => {
    for (const name of [
      'log!x',
      'log!9',
      'log!99999999999999999',
      'log!9999999999999999x',
      // Numbers, but none can follow them.
      'log!9999999999999999',
      entryKey('log!', Number.MAX_SAFE_INTEGER),
    ]) {
      await t.write(append('log!', 'a'), put(name, 'not an entry'))
      const before = await t.all()
      for (const op of [append('log!', 'b'), append('log!', 'b', 'ref'), trim('log!', 1)]) {
        const error = await rejects(t.send([{ ops: [put('k', 'v')] }, { ops: [op] }]), 'INVALID_ARGUMENT')
        equal([error.retryable, error.ambiguous], [false, false])
      }
      await rejects(t.send([{ checks: [ends('log!', 1)], ops: [put('k', 'v')] }]), 'INVALID_ARGUMENT')
      equal(await t.all(), before)
      await t.write(remove(name))
      equal((await t.write(append('log!', 'b'))).seqs, [2])
      await t.write(removePart())
    }
  },
)

/** A trimmed end that is not a seq would restart the log, or end it for good. */
export const strangeMark: Case = defineCase(
  'DR-1410',
  'an append to a log whose trimmed end is not a seq is refused with its request, and nothing changes',
  async (t) => {
    for (const value of ['', 'x', '1x', '-1', '1e3', '99999999999999999', '9999999999999999', new Uint8Array([0x31])]) {
      await t.write(put(entryKey('log!', 0), value))
      const before = await t.all()
      for (const op of [append('log!', 'b'), append('log!', 'b', 'ref'), trim('log!', 1)]) {
        const error = await rejects(t.send([{ ops: [put('k', 'v')] }, { ops: [op] }]), 'INVALID_ARGUMENT')
        equal([error.retryable, error.ambiguous], [false, false])
      }
      await rejects(t.send([{ checks: [ends('log!', 1)], ops: [put('k', 'v')] }]), 'INVALID_ARGUMENT')
      equal(await t.all(), before)
      await t.write(put(entryKey('log!', 0), '41'))
      equal((await t.write(append('log!', 'b'))).seqs, [42])
      await t.write(removePart())
    }
  },
)

/** A driver must not trust its cache of a log after an entry was put into the log. */
export const carriedOverLate: Case = defineCase(
  'DR-1409',
  'a log continues from a seq put into it, even if its end was just read',
  async (t) => {
    equal(await t.commit({ checks: [ends('log!', 0)], ops: [put('k', 'v')] }), { ok: true, seqs: [] })
    await t.write(put(entryKey('log!', 0), '41'))
    equal(await t.commit({ checks: [ends('log!', 41)], ops: [append('log!', 'x')] }), { ok: true, seqs: [42] })
    await t.write(removePart())
    const { outcomes } = await t.send([
      { checks: [ends('log!', 0)], ops: [put(entryKey('log!', 0), '7')] },
      { checks: [ends('log!', 7)], ops: [append('log!', 'y')] },
    ])
    equal(outcomes, [
      { ok: true, seqs: [] },
      { ok: true, seqs: [8] },
    ])
  },
)
