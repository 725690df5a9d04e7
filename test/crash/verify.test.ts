/** The look at what a crash left behind finds whatever is missing or torn. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Op } from '../../src/core/driver.ts'
import { tenantParts } from '../../src/core/keys.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { COUNTER, WRITERS, eventKeys, eventOf, pairKeys, pairValue, runOf, stateOf } from './content.ts'
import { ledger } from './ledger.ts'
import { faultsOf } from './verify.ts'

const { runs, snapshots, values } = tenantParts()
const part = tenantParts().run('r0')
const eventKey = (seq: number): string => `event!${String(seq).padStart(16, '0')}`

let driver = memory()
let book = ledger()

/** Three acknowledged effects of every writer. */
beforeEach(async () => {
  driver = memory()
  book = ledger()
  const { db, state, persistence } = createHoldfast({ driver })
  for (const writer of WRITERS) {
    for (let index = 1; index <= 3; index++) {
      let told: number | undefined
      if (writer.startsWith('pair')) {
        await db.commit({ ops: pairKeys(writer).map((put) => ({ put, value: pairValue(index)! })) })
      } else if (writer.startsWith('add')) told = await state.increment(COUNTER)
      else if (writer.endsWith('snapshot')) {
        const saved = { runId: runOf(writer), state: stateOf(index), throughSeq: index }
        told = (await state.saveSnapshot(saved)).version
      } else told = (await persistence.appendBatch(eventKeys(writer, index).map(eventOf))).seq
      book.add([{ writer, index, ...(told !== undefined && { told }) }])
    }
  }
})

const SPOILED: Record<string, [ops: Op[], fault: string]> = {
  'an acknowledged event that is gone': [[{ delete: { part, key: eventKey(2) } }], 'acknowledged as'],
  'other content of an event': [
    [{ put: { part, key: eventKey(2) }, value: '{"kind":"written","idempotencyKey":"r0.single0/2/0/1","at":2}' }],
    'other content',
  ],
  'an event from nowhere': [
    [{ append: { part, key: 'event!' }, value: '{"kind":"written","idempotencyKey":"r0.single0/9/0/1","at":9}' }],
    'from nowhere',
  ],
  'a batch of which half is there': [[{ delete: { part, key: eventKey(7) } }], 'torn batch'],
  'an idempotency key that leads nowhere': [[{ delete: { part, key: 'idempotency!r0.single0/1/0/1' } }], 'lead'],
  'a run without its index': [[{ delete: { part: runs, key: 'r0' } }], 'index do not agree'],
  'half of a pair': [[{ delete: pairKeys('pair0')[1] }], 'pair0 is torn'],
  'an old pair': [pairKeys('pair1').map((put) => ({ put, value: pairValue(2)! })), 'after 3 was acknowledged'],
  'a counter that went back': [[{ put: { part: values, key: COUNTER }, value: '5' }], 'counter is 5'],
  'a counter that ran ahead': [[{ put: { part: values, key: COUNTER }, value: '9' }], 'counter is 9'],
  'a snapshot without its index': [[{ delete: { part: snapshots, key: 'r0' } }], 'index do not agree'],
  'a snapshot that is gone': [
    [{ delete: { part: snapshots, key: 'r0' } }, { delete: { part, key: 'snapshot' } }],
    'snapshot is 0',
  ],
}

describe('the look at what was left behind', () => {
  it('finds nothing where all is well', async () => {
    expect(await faultsOf(driver, book)).toEqual([])
  })

  it.each(Object.keys(SPOILED))('finds %s', async (name) => {
    const [ops, fault] = SPOILED[name]!
    await createHoldfast({ driver }).db.commit({ ops })
    expect((await faultsOf(driver, book)).join('\n')).toContain(fault)
  })

  it('finds a sum that was told twice, and an acknowledgement that was left out', async () => {
    book.add([{ writer: 'add0', index: 4, told: 6 }])
    book.add([{ writer: 'pair0', index: 6 }])
    expect(book.faults).toEqual(['The sum 6 was told twice', 'pair0 tells of 6 after 3'])
  })
})
