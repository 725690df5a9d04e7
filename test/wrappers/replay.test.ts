import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { CommitRequest, Driver, Entry, Outcome } from '../../src/core/driver.ts'
import { HoldfastError } from '../../src/core/errors.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { prefix } from '../../src/wrappers/prefix.ts'
import { replay } from '../../src/wrappers/replay.ts'

const request: CommitRequest = {
  id: 'r',
  commits: [{ id: 'c', checks: [], ops: [{ append: { part: 'p', key: 'log!' }, value: 'v' }], durability: 'strict' }],
}
const ONCE = [{ ok: true, seqs: [1] }]

describe('replay', () => {
  it('goes on for who repeats when the first has stopped waiting', async () => {
    const spy = spyOn(memory())
    const driver = replay(spy.driver)
    spy.hold()
    const controller = new AbortController()
    const first = driver.commit(request, { signal: controller.signal })
    const second = driver.commit(request)
    controller.abort()
    await expect(first).rejects.toMatchObject({ code: 'ABORTED', ambiguous: true })
    const signal = AbortSignal.abort()
    await expect(driver.commit(request, { signal })).rejects.toMatchObject({ code: 'ABORTED', ambiguous: false })
    spy.release()
    expect([(await second).outcomes, (await driver.commit(request)).outcomes]).toEqual([ONCE, ONCE])
    expect(spy.commits).toHaveLength(1)
  })

  it('tries again what certainly failed, and never what may have happened', async () => {
    const spy = spyOn(memory())
    const driver = replay(spy.driver)
    spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Locked'))
    await expect(driver.commit(request)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect((await driver.commit(request)).outcomes).toEqual(ONCE)
    for (const error of [new HoldfastError('BACKEND', 'Torn', { ambiguous: true }), new Error('foreign')]) {
      const again = { ...request, id: error.message }
      spy.fail('commit', error)
      await expect(driver.commit(again)).rejects.toBe(error)
      await expect(driver.commit(again)).rejects.toBe(error)
    }
    expect(spy.commits).toHaveLength(4)
  })
})

/** A request that is refused as long as something is at the key. */
const refusedBy = (id: string, key: string): CommitRequest => ({
  id,
  commits: [
    { id: `${id}c`, checks: [{ at: { part: 'p', key }, version: null }], ops: [], durability: 'strict' },
    { id: `${id}d`, checks: [{ log: { part: 'p', key: 'log!' }, last: 0 }], ops: [], durability: 'strict' },
  ],
})
const write = (driver: Driver, key: string, value: string | Uint8Array, id: string) =>
  driver.commit({
    id: `r${id}`,
    commits: [{ id, checks: [], ops: [{ put: { part: 'p', key }, value }], durability: 'strict' }],
  })
const currentOf = (outcome: Outcome | undefined) =>
  outcome?.ok === false ? outcome.failed.map(({ current }) => current) : []

describe('the record of a refusal', () => {
  it('holds no values: a repeat is told what is there now', async () => {
    const spy = spyOn(memory())
    const driver = replay(spy.driver)
    await write(driver, 'k', 'old', 'v1')
    const it = refusedBy('refused', 'k')
    const { outcomes } = await driver.commit(it)
    expect(outcomes.map(currentOf)).toEqual([[{ key: 'k', version: 'v1', value: 'old', expiresAt: null }], []])
    await write(driver, 'k', 'new', 'v2')
    await driver.commit(request)
    expect((await driver.commit(it)).outcomes.map(currentOf)).toEqual([
      [{ key: 'k', version: 'v2', value: 'new', expiresAt: null }],
      [],
    ])
    const both = { ...refusedBy('r2', 'k'), commits: refusedBy('r2', 'k').commits.toReversed() }
    await driver.commit(both)
    await driver.commit({
      id: 'gone',
      commits: [{ id: 'g', checks: [], ops: [{ deletePart: 'p' }], durability: 'strict' }],
    })
    expect((await driver.commit(both)).outcomes.map(currentOf)).toEqual([[{ last: 0 }], [null]])
  })

  it('takes little memory, however large the values are', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const held = (): number => (gc(), process.memoryUsage().arrayBuffers)
    const driver = replay(memory())
    await write(driver, 'k', new Uint8Array(2 ** 20), 'v')
    const before = held()
    for (let n = 0; n < 200; n++) {
      const { outcomes } = await driver.commit(refusedBy(`r${n}`, 'k'))
      expect((currentOf(outcomes[0])[0] as Entry).value).toHaveLength(2 ** 20)
    }
    expect(held() - before).toBeLessThan(20 * 2 ** 20)
  })

  it('lets as much of the values through as the driver answers', async () => {
    const driver = replay(memory())
    const { answerBytes } = driver.capabilities.limits
    await write(driver, 'k', new Uint8Array(answerBytes / 4), 'v')
    const many = { id: 'many', commits: Array.from({ length: 50 }, (_, i) => refusedBy(String(i), 'k').commits[0]!) }
    const sizes = (outcomes: readonly Outcome[]) =>
      outcomes.map((it) => (currentOf(it)[0] as Partial<Entry>).value?.length ?? 0)
    const first = sizes((await driver.commit(many)).outcomes)
    expect(first.filter((size) => size > 0)).toEqual([answerBytes / 4, answerBytes / 4, answerBytes / 4])
    expect(sizes((await driver.commit(many)).outcomes)).toEqual(first)
  })

  it('goes after two windows', async () => {
    let time = 0
    const spy = spyOn(memory())
    const driver = replay(spy.driver, { window: 1000, clock: () => time })
    await driver.commit(request)
    time = 1000
    await expect(driver.commit(request)).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { late: true } })
    time = 1999
    await expect(driver.commit(request)).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { late: true } })
    expect(spy.commits).toHaveLength(1)
    time = 2000
    // Nothing tells it from a first one any more; a deadline does.
    await expect(driver.commit({ ...request, deadline: 500 })).rejects.toMatchObject({ details: { late: true } })
    expect((await driver.commit(request)).outcomes).toEqual([{ ok: true, seqs: [2] }])
  })
})

describe('prefix', () => {
  it('does not take a request of one view for a repeat of another', async () => {
    const driver = replay(memory())
    for (const view of [prefix(driver, 'a'), prefix(driver, 'b')]) {
      expect((await view.commit(request)).outcomes).toEqual(ONCE)
      expect((await view.read([{ get: { part: 'p', key: 'log!0000000000000001' } }])).answers[0]).not.toBeNull()
    }
  })
})
