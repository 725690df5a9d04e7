/** A real D1 whose answers are lost, whose requests are late, and which says what D1 is documented to say. */
import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CommitRequest, Driver, Op } from '../../../src/core/driver.ts'
import { lateAt } from '../../../src/core/request-records.ts'
import { type D1Database, d1 } from '../../../src/drivers/sqlite/d1.ts'

let worker: Miniflare
let db: D1Database
beforeAll(async () => {
  const script = 'export default { fetch: () => new Response() }'
  worker = new Miniflare({ modules: true, script, d1Databases: ['DB'], host: '127.0.0.1' })
  db = await worker.getD1Database('DB')
})
afterAll(() => worker?.dispose())

type Batch = D1Database['batch']

/** The binding with another `batch`, which is told the statements' text. */
function over(batch: (run: () => ReturnType<Batch>, queries: readonly string[]) => ReturnType<Batch>): D1Database {
  let queries: string[] = []
  return {
    prepare: (query) => (queries.push(query), db.prepare(query)),
    batch(statements) {
      const own = queries
      queries = []
      return batch(() => db.batch(statements), own)
    },
  }
}

const isCommit = (queries: readonly string[]): boolean => queries.some((query) => query.includes('holdfast_begins'))

/** Fails the next batches in this way, as soon as it is told to. */
function failing(): { driver: Driver; next: ('before' | 'after')[]; fail: { said: string; asked: number } } {
  const fail = { said: '', asked: 0 }
  const next: ('before' | 'after')[] = []
  const driver = d1({
    timeout: 3000,
    db: over(async (run) => {
      fail.asked++
      const how = next.shift()
      if (how !== 'before') {
        const answer = await run()
        if (how === undefined) return answer
      }
      throw new Error(`D1_ERROR: ${fail.said}`)
    }),
  })
  return { driver, next, fail }
}

let ids = 0
function request(...ops: Op[]): CommitRequest {
  const id = `d1-faults.${ids++}`
  return { id, commits: [{ id, checks: [], ops, durability: 'strict' }] }
}
const at = (key: string) => ({ part: 'p', key })
const append = (log: string): Op => ({ append: at(log), value: 'v' })

describe('what passes', () => {
  test.each([
    'D1 DB reset because its code was updated.',
    'Internal error while starting up D1 DB storage caused object to be reset.',
    'Network connection lost.',
    'Internal error in D1 DB storage caused object to be reset.',
    'Cannot resolve D1 DB due to transient issue on remote node.',
    "Can't read from request stream because client disconnected.",
    'D1 DB storage operation exceeded timeout which caused object to be reset.',
    'Replica disconnected from primary.',
  ])('is tried again, and takes effect once: %s', async (said) => {
    const { driver, next, fail } = failing()
    await driver.open()
    fail.said = said
    const log = `log-${ids}!`
    next.push('before')
    expect((await driver.commit(request(append(log)))).outcomes).toEqual([{ ok: true, seqs: [1] }])
    next.push('before', 'after', 'after')
    expect((await driver.commit(request(append(log)))).outcomes).toEqual([{ ok: true, seqs: [2] }])
    next.push('before')
    const { answers } = await driver.read([{ range: { part: 'p', start: log, end: `${log}~`, limit: 10 } }])
    expect(answers).toMatchObject([{ entries: [{}, {}], more: false }])
  })

  test('but does not end is told in time', async () => {
    const { driver, next, fail } = failing()
    await driver.open()
    fail.said = 'Network connection lost.'
    next.push(...Array<'after'>(100).fill('after'))
    const failure = { code: 'UNAVAILABLE', retryable: true }
    await expect(driver.commit(request(append('never!')))).rejects.toMatchObject({ ...failure, ambiguous: true })
    await expect(driver.read([])).rejects.toMatchObject({ ...failure, ambiguous: false })
  })
})

describe('what does not pass', () => {
  test.each([
    ['D1 DB is overloaded. Requests queued for too long.', 'UNAVAILABLE', true, false],
    ['D1 DB is overloaded. Too many requests queued.', 'UNAVAILABLE', true, false],
    ["D1 DB's isolate exceeded its memory limit and was reset.", 'UNAVAILABLE', true, true],
    ['D1 DB exceeded its CPU time limit and was reset.', 'UNAVAILABLE', true, true],
    ['Exceeded maximum DB size.', 'QUOTA_EXCEEDED', false, false],
  ] as const)('is told at once: %s', async (said, code, retryable, ambiguous) => {
    const { driver, next, fail } = failing()
    await driver.open()
    fail.said = said
    fail.asked = 0
    next.push('before', 'before')
    await expect(driver.commit(request(append('none!')))).rejects.toMatchObject({ code, retryable, ambiguous })
    expect(fail.asked).toBe(1)
  })
})

describe('a commit whose answer was lost', () => {
  test('is told by what it was, though nothing can be read', async () => {
    let left = 0
    let broken = false
    const driver = d1({
      timeout: 3000,
      db: over(async (run, queries) => {
        if (broken && !isCommit(queries)) throw new Error('D1_ERROR: nothing can be read')
        const answer = await run()
        if (left-- > 0) throw new Error('D1_ERROR: Network connection lost.')
        return answer
      }),
    })
    await driver.open()
    const value = 'x'.repeat(100_000)
    await driver.commit(request({ put: at('taken'), value }))
    broken = true
    left = 1
    const { commits } = request({ put: at('taken'), value: 'w' })
    const refused = { ...commits[0]!, checks: [{ at: at('taken'), version: null }] }
    const told = request({ put: at('mine'), value: 'v' }, append('told!'))
    const { outcomes } = await driver.commit({ id: told.id, commits: [...told.commits, refused] })
    expect(outcomes).toMatchObject([
      { ok: true, seqs: [1] },
      { ok: false, failed: [{ check: 0, current: { key: 'taken', value } }] },
    ])
  })

  test('and that arrives after its repetition takes effect once', async () => {
    const late: (() => Promise<unknown>)[] = []
    let held = false
    const driver = d1({
      timeout: 3000,
      db: over(async (run, queries) => {
        if (held || !isCommit(queries)) return run()
        held = true
        return new Promise((resolve) => late.push(async () => resolve(await run())))
      }),
    })
    await driver.open()
    expect((await driver.commit(request(append('late!')))).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect(late).toHaveLength(1)
    await late[0]!()
    expect((await driver.commit(request(append('late!')))).outcomes).toEqual([{ ok: true, seqs: [2] }])
  })

  test('and whose repetition comes too late is in doubt', async () => {
    let lost = false
    const driver = d1({
      timeout: 3000,
      db: over(async (run, queries) => {
        if (lost || !isCommit(queries)) return run()
        lost = true
        await new Promise((resolve) => setTimeout(resolve, 300))
        throw new Error('D1_ERROR: Network connection lost.')
      }),
    })
    await driver.open()
    const { now } = await driver.read([])
    const error: unknown = await driver
      .commit({ ...request(append('doubt!')), deadline: now + 200 })
      .catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: true })
    expect(lateAt(error)).toBeGreaterThan(now)
  })
})
