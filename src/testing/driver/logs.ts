/** Logs: seqs without gaps, assigned inside the commit. @module */
import { equal } from '../assert.ts'
import { append, at, ends, entryKey, pairs, put, remove, removePart, removeRange, unchanged, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'

const LOG = { start: 'log!', end: 'log"' } as const

/** Seqs count from 1 without gaps. */
export const dense: Case = defineCase('DR-401', 'appends are numbered from 1 without gaps', async (t) => {
  for (const n of upTo(5)) equal((await t.write(append('log!', `v${n}`))).seqs, [n])
  equal(
    pairs(await t.all()),
    upTo(5).map((n) => [entryKey('log!', n), `v${n}`]),
  )
})

/** `seqs` has one seq per append, in the order of the ops. */
export const seqsInOpOrder: Case = defineCase(
  'DR-402',
  'one commit appends to several logs, with seqs in the order of the ops',
  async (t) => {
    await t.write(append('b!', '0'))
    const { seqs } = await t.write(
      append('a!', 'a1'),
      put('k', 'v'),
      append('b!', 'b2'),
      append('a!', 'a2'),
      remove('nothing'),
      append('b!', 'b3'),
      append('a!', 'a3'),
    )
    equal(seqs, [1, 2, 2, 3, 3])
    equal(pairs(await t.all({ start: 'a!', end: 'b"' })), [
      [entryKey('a!', 1), 'a1'],
      [entryKey('a!', 2), 'a2'],
      [entryKey('a!', 3), 'a3'],
      [entryKey('b!', 1), '0'],
      [entryKey('b!', 2), 'b2'],
      [entryKey('b!', 3), 'b3'],
    ])
  },
)

/** Commits of a request continue each other's seqs; a failed one uses none. */
export const acrossCommits: Case = defineCase('DR-403', 'commits of one request append without gaps', async (t) => {
  const { outcomes } = await t.send([
    { ops: [append('log!', 'a'), append('log!', 'b'), append('m!', 'x')] },
    { checks: [unchanged('nothing', 'here')], ops: [append('log!', 'no')] },
    { ops: [append('log!', 'c')] },
    { checks: [ends('log!', 3)], ops: [append('m!', 'y'), append('log!', 'd')] },
  ])
  equal(
    outcomes.map((outcome) => (outcome.ok ? outcome.seqs : null)),
    [[1, 2, 1], null, [3], [2, 4]],
  )
  equal(
    (await t.all(LOG)).map((entry) => entry.value),
    ['a', 'b', 'c', 'd'],
  )
})

/** A log is a prefix in a part, and its seqs are its own. */
export const separateLogs: Case = defineCase(
  'DR-404',
  'logs with other names or in other parts count separately',
  async (t) => {
    const logs = [at('log!'), at('lo!'), at('logs!'), at('log!', 'elsewhere'), at('log!', 'acme!run!r10')]
    for (const n of upTo(3))
      equal(
        (await t.write(...logs.map((log) => append(log, `v${n}`)))).seqs,
        logs.map(() => n),
      )
    equal((await t.keys(LOG)).length, 3)
  },
)

/** An entry may have the name of a log, or begin with it. */
export const neighboursOfLog: Case = defineCase('DR-405', 'entries next to a log do not affect its seqs', async (t) => {
  await t.write(put('log', 'v'), put('log ', 'v'), put('log"', 'v'), put('log0000000000000009', 'v'), put('loh', 'v'))
  equal((await t.write(append('log!', 'a'), append('log!', 'b'))).seqs, [1, 2])
  equal(await t.commit({ checks: [ends('log!', 2)], ops: [append('log!', 'c')] }), { ok: true, seqs: [3] })
})

/** A log check gives the seq at which the log ends. */
export const lastHolds: Case = defineCase('DR-406', 'a check of the end of a log: 0 when empty', async (t) => {
  const outcome = (last: number) => t.commit({ checks: [ends('log!', last)], ops: [append('log!', 'x')] })
  equal(await outcome(1), { ok: false, failed: [{ check: 0, current: { last: 0 } }] })
  equal(await outcome(0), { ok: true, seqs: [1] })
  equal(await outcome(0), { ok: false, failed: [{ check: 0, current: { last: 1 } }] })
  equal(await outcome(1), { ok: true, seqs: [2] })
  equal(await outcome(9), { ok: false, failed: [{ check: 0, current: { last: 2 } }] })
})

/** A commit may check a log that it does not append to. */
export const lastOfOtherLog: Case = defineCase(
  'DR-407',
  'a commit may check a log that it does not append to',
  async (t) => {
    await t.write(append(at('log!', 'elsewhere'), 'x'))
    const checks = [ends(at('log!', 'elsewhere'), 1), ends('log!', 0)]
    equal(await t.commit({ checks, ops: [put('snapshot', 'through 1')] }), { ok: true, seqs: [] })
    await t.write(append(at('log!', 'elsewhere'), 'y'))
    equal(await t.commit({ checks, ops: [put('snapshot', 'stale')] }), {
      ok: false,
      failed: [{ check: 0, current: { last: 2 } }],
    })
  },
)

/** The order of keys is the order of seqs, whatever their length in decimal. */
export const digitBoundaries: Case = defineCase(
  'DR-408',
  'order holds from 9 to 10, 99 to 100 and 999 to 1000',
  async (t) => {
    await t.writeAll(upTo(1001).map((n) => append('log!', String(n))))
    equal(
      await t.keys(LOG),
      upTo(1001).map((n) => entryKey('log!', n)),
    )
    equal((await t.page({ ...LOG, limit: 1, reverse: true })).entries[0]?.value, '1001')
    equal(await t.commit({ checks: [ends('log!', 1001)], ops: [append('log!', 'x')] }), { ok: true, seqs: [1002] })
  },
)

/** `ref` names a key of the same part that receives the seq as text. */
export const refs: Case = defineCase('DR-409', 'ref holds the seq, and so finds the entry', async (t) => {
  await t.write(append('log!', 'first'))
  const { version, seqs } = await t.write(
    append('log!', 'a', 'idempotency!one'),
    append('log!', 'b', 'idempotency!two'),
  )
  equal(seqs, [2, 3])
  equal(await t.read({ get: at('idempotency!one') }, { get: at('idempotency!two') }), [
    { key: 'idempotency!one', version, value: '2', expiresAt: null },
    { key: 'idempotency!two', version, value: '3', expiresAt: null },
  ])
  equal((await t.get(at(entryKey('log!', 3))))?.value, 'b')
})

/** A ref is an entry: it replaces an old one, and its expiry. */
export const refOverwrites: Case = defineCase('DR-410', 'ref replaces the entry under its key', async (t) => {
  await t.write(put('ref', new Uint8Array([1, 2]), { in: 600_000 }))
  const { version } = await t.write(append('log!', 'a', 'ref'))
  equal(await t.get(at('ref')), { key: 'ref', version, value: '1', expiresAt: null })
})

/** Once per name, however often it is repeated: this is how idempotent appends work. */
export const appendOnce: Case = defineCase('DR-411', 'an append under a check of its ref happens once', async (t) => {
  const draft = { checks: [{ at: at('ref'), version: null }], ops: [append('log!', 'x', 'ref')] }
  const { outcomes } = await t.send([draft, draft, draft])
  equal(
    outcomes.map((outcome) => outcome.ok),
    [true, false, false],
  )
  const failed = await t.commit(draft)
  equal(failed.ok ? null : (failed.failed[0]?.current as { value?: unknown } | null)?.value, '1')
  equal((await t.all(LOG)).length, 1)
})

/** Once a whole log is deleted, its seqs start again, however it was deleted. */
export const restarts: Case = defineCase('DR-412', 'a log deleted as a whole starts again at 1', async (t) => {
  const appendTwo = async (): Promise<readonly number[]> =>
    (await t.write(append('log!', 'a'), append('log!', 'b'))).seqs
  equal(await appendTwo(), [1, 2])
  await t.write(removeRange('log!', 'log"'))
  equal(await t.commit({ checks: [ends('log!', 0)], ops: [] }), { ok: true, seqs: [] })
  equal(await appendTwo(), [1, 2])
  await t.write(removePart())
  equal(await appendTwo(), [1, 2])
})

/** Retention cuts off the beginning of a log. */
export const truncated: Case = defineCase('DR-413', 'a log without its beginning keeps its seqs', async (t) => {
  await t.writeAll(upTo(12).map((n) => append('log!', String(n))))
  await t.write(removeRange(entryKey('log!', 1), entryKey('log!', 11)))
  equal(await t.commit({ checks: [ends('log!', 12)], ops: [append('log!', '13')] }), { ok: true, seqs: [13] })
  equal(
    (await t.all(LOG)).map((entry) => entry.value),
    ['11', '12', '13'],
  )
})

/** Appended values are values: text stays text, bytes stay bytes. */
export const appendedValues: Case = defineCase(
  'DR-414',
  'appended text and bytes come back as they were',
  async (t) => {
    const values = ['', 'null', new Uint8Array([0, 255]), new Uint8Array(0), '{"a":1}', 'ünï😀']
    await t.write(...values.map((value) => append('log!', value)))
    equal(
      (await t.all(LOG)).map((entry) => entry.value),
      values,
    )
  },
)

/** Restoring a log: entries keep their seqs and versions, in whatever order they come, and the log goes on. */
export const carriedOver: Case = defineCase(
  'DR-415',
  'a log restored entry by entry keeps seqs and versions, and continues after them',
  async (t) => {
    const [first, second] = [t.id(), t.id()]
    const { outcomes } = await t.send([
      { id: second, ops: [put(entryKey('log!', 3), 'c')] },
      { id: first, ops: [put(entryKey('log!', 1), 'a')] },
      // One commit wrote both, in the original database.
      { id: first, ops: [put(entryKey('log!', 2), 'b'), put('ref', '2')] },
    ])
    equal(
      outcomes.map((outcome) => outcome.ok),
      [true, true, true],
    )
    equal(
      (await t.all(LOG)).map(({ key, version, value }) => [key, version, value]),
      [
        [entryKey('log!', 1), first, 'a'],
        [entryKey('log!', 2), first, 'b'],
        [entryKey('log!', 3), second, 'c'],
      ],
    )
    equal((await t.get(at('ref')))?.version, first)
    equal(await t.commit({ checks: [ends('log!', 3), unchanged('ref', first)], ops: [append('log!', 'd')] }), {
      ok: true,
      seqs: [4],
    })
  },
)
