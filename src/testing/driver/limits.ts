/** Capabilities and limits are declared, and kept. @module */
import { equal, ok } from '../assert.ts'
import { ALL, append, at, PART, put, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'

/** Cases that test a limit go no further than this: some limits are only a number. */
const ENOUGH = 1000
const ENOUGH_BYTES = 4_000_000

const key = (n: number): string => `k${String(n).padStart(4, '0')}`

/** With less than this, the stores could not work. */
const LEAST = {
  valueBytes: 65_536,
  requestBytes: 65_536,
  commitKeys: 32,
  requestCommits: 8,
  requestReads: 8,
  rangeEntries: 16,
  answerBytes: 65_536,
} as const

/** Capabilities are constants from fixed sets. */
export const declared: Case = defineCase('DR-1001', 'capabilities are declared, complete and constant', async (t) => {
  const { writers, reads, durability, clock, network, replayWindow } = t.capabilities
  ok(['many', 'one'].includes(writers), 'writers')
  ok(['strict', 'session'].includes(reads), 'reads')
  ok(['strict', 'relaxed', 'none'].includes(durability), 'durability')
  ok(['shared', 'local'].includes(clock), 'clock')
  ok(typeof network === 'boolean', 'network')
  ok(Number.isSafeInteger(replayWindow) && replayWindow >= 0, 'replayWindow')
  ok(typeof t.driver.name === 'string' && t.driver.name !== '', 'name')
  await t.write(put('k', 'v'))
  equal(t.driver.capabilities, t.capabilities, 'They do not change while it works')
  equal((await t.another()).driver.capabilities, t.capabilities, 'Nor from one database to the next')
})

/** Limits are numbers, and large enough. */
export const limitsDeclared: Case = defineCase(
  'DR-1002',
  'limits are whole numbers large enough for the stores',
  async ({ limits }) => {
    for (const [name, least] of Object.entries(LEAST)) {
      const limit = limits[name as keyof typeof LEAST]
      ok(Number.isSafeInteger(limit) && limit >= least, `${name} is a whole number of at least ${least}, not ${limit}`)
    }
    ok(limits.requestBytes >= limits.valueBytes, 'A request takes the largest value')
  },
)

/** `valueBytes`, in UTF-8 and in bytes. */
export const largestValue: Case = defineCase('DR-1003', 'a value of the declared size is accepted', async (t) => {
  const size = Math.min(t.limits.valueBytes, t.limits.requestBytes - 1024, ENOUGH_BYTES)
  const text = 'é'.repeat(size / 2).padEnd(size - Math.floor(size / 2), 'x')
  const raw = new Uint8Array(size).map((_, i) => i)
  await t.write(put('text', text))
  await t.write(put('raw', raw))
  ok((await t.get(at('text')))?.value === text, 'The text came back')
  equal((await t.get(at('raw')))?.value, raw)
})

/** `commitKeys`: checks and ops of one commit. */
export const mostKeys: Case = defineCase(
  'DR-1004',
  'a commit with the declared number of checks and ops is accepted',
  async (t) => {
    const half = upTo(Math.floor(Math.min(t.limits.commitKeys, ENOUGH) / 2))
    const checks = half.map((n) => ({ at: at(key(n)), version: null }))
    equal((await t.commit({ checks, ops: half.map((n) => put(key(n), String(n))) })).ok, true)
    equal(await t.keys(), half.map(key))
    const again = await t.commit({ checks, ops: [put('x', 'v')] })
    equal(again.ok ? 0 : again.failed.length, half.length, 'Every check failed, and every one is reported')
  },
)

/** `requestCommits`. */
export const mostCommits: Case = defineCase(
  'DR-1005',
  'a request with the declared number of commits is accepted',
  async (t) => {
    const n = Math.min(t.limits.requestCommits, ENOUGH)
    const { outcomes } = await t.send(upTo(n).map((i) => ({ ops: [append('log!', String(i))] })))
    equal(
      outcomes,
      upTo(n).map((seq) => ({ ok: true, seqs: [seq] })),
    )
    equal((await t.keys()).length, n)
  },
)

/** `requestReads`. */
export const mostReads: Case = defineCase(
  'DR-1006',
  'a request with the declared number of questions is answered',
  async (t) => {
    const n = Math.min(t.limits.requestReads, ENOUGH)
    await t.write(put('k', 'v'))
    const entry = await t.get(at('k'))
    const range = { part: PART, ...ALL, limit: 2 }
    const answers = await t.read(...upTo(n).map((i) => (i % 2 ? { get: at('k') } : { range })))
    for (const [i, answer] of answers.entries()) equal(answer, i % 2 === 0 ? entry : { entries: [entry], more: false })
  },
)

/** `rangeEntries` may be requested, though a page may be shorter. */
export const longestPage: Case = defineCase(
  'DR-1007',
  'a page of the declared number of entries may be requested',
  async (t) => {
    const limit = Math.min(t.limits.rangeEntries, ENOUGH)
    await t.writeAll(upTo(limit + 1).map((n) => append('log!', String(n))))
    const { entries, more } = await t.page({ limit })
    ok(entries.length > 0 && entries.length <= limit, 'Between 1 and limit entries')
    equal(more, true)
    equal((await t.keys({ limit })).length, limit + 1)
  },
)

/** `requestBytes` counts all keys, versions and values. */
export const largestRequest: Case = defineCase('DR-1008', 'a request of the declared size is accepted', async (t) => {
  const perCommit = 10_000
  const bytes = Math.min(t.limits.requestBytes, ENOUGH_BYTES) - 4096
  const n = Math.min(Math.floor(bytes / (perCommit + 200)), t.limits.requestCommits)
  const value = new Uint8Array(perCommit).fill(0xfe)
  const { outcomes } = await t.send(upTo(n).map((i) => ({ ops: [put(`k${1000 + i}`, value)] })))
  ok(outcomes.length === n && outcomes.every((outcome) => outcome.ok), 'All took effect')
  const entries = await t.all({ limit: 16 })
  equal(entries.length, n)
  ok(
    entries.every((entry) => entry.value.length === perCommit),
    'All values are whole',
  )
})

/** Every driver accepts commits of both levels, whatever it can promise. */
export const bothLevels: Case = defineCase(
  'DR-1009',
  'commits of both durability levels are accepted, even in one request',
  async (t) => {
    const levels = ['strict', 'relaxed', 'relaxed', 'strict'] as const
    const commits = levels.map((durability) => ({
      id: t.id(),
      checks: [],
      ops: [append('log!', durability)],
      durability,
    }))
    const { outcomes } = await t.driver.commit({ id: t.id(), commits })
    equal(
      outcomes,
      upTo(4).map((seq) => ({ ok: true, seqs: [seq] })),
    )
    await t.driver.commit({
      id: t.id(),
      commits: [{ id: t.id(), checks: [], ops: [put('k', 'v')], durability: 'relaxed' }],
    })
    equal((await t.get(at('k')))?.value, 'v', 'A relaxed commit is seen at once')
  },
)
