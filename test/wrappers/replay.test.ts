import { describe, expect, it } from 'vitest'
import type { CommitRequest } from '../../src/core/driver.ts'
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

describe('prefix', () => {
  it('does not take a request of one view for a repeat of another', async () => {
    const driver = replay(memory())
    for (const view of [prefix(driver, 'a'), prefix(driver, 'b')]) {
      expect((await view.commit(request)).outcomes).toEqual(ONCE)
      expect((await view.read([{ get: { part: 'p', key: 'log!0000000000000001' } }])).answers[0]).not.toBeNull()
    }
  })
})
