import { expect, it } from 'vitest'
import { EVENTS, tenantParts, trimmedKey } from '../../src/core/keys.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { recordedRun } from '../../src/runner/replay.ts'
import { spyOn } from '../../src/testing/spy.ts'

// A run that began many lives, or whose log is trimmed again and again.
it('a log whose first million entries were trimmed is read to its beginning, and no further', async () => {
  const spy = spyOn(memory(), { limits: { rangeEntries: 10, requestReads: 5 } })
  const holdfast = createHoldfast({ driver: spy.driver })
  const event = { runId: 'r', workflow: 'w', kind: 'k' }
  await holdfast.workflows.createRun({ runId: 'r', workflow: 'w' })
  const put = { part: tenantParts().run('r'), key: trimmedKey(EVENTS) }
  await holdfast.db.commit({ ops: [{ put, value: '1000000' }] })
  await holdfast.persistence.appendBatch(Array.from({ length: 25 }, () => event))
  for (const read of [() => holdfast.persistence.load('r'), () => recordedRun(holdfast, 'r')]) {
    const before = spy.reads.length
    const { events = [] } = (await read()) ?? {}
    expect([events.length, events[0]?.seq, events.at(-1)?.seq]).toEqual([25, 1_000_001, 1_000_025])
    expect(spy.reads.length - before).toBe(2)
  }
})
