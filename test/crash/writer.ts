/**
 * Writes until it is killed: several writers at once over one database, and a line on the standard output after every
 * acknowledgement. The lines go to a file, by a synchronous write, and so outlive the process.
 */
import { writeSync } from 'node:fs'
import { createHoldfast } from '../../src/holdfast.ts'
import { engineNamed } from '../support/engines.ts'
import {
  ADDERS,
  APPENDERS,
  type Ack,
  COUNTER,
  type Order,
  PAIRS,
  SNAPSHOTS,
  eventKeys,
  eventOf,
  isBatch,
  pairKeys,
  pairValue,
  runOf,
  stateOf,
} from './content.ts'

const order = JSON.parse(process.argv[2]!) as Order
const driver = await engineNamed(order.engine).make(order.path)
const { db, state, persistence } = createHoldfast({ driver, durability: 'strict' })

function acknowledge(ack: Ack): void {
  writeSync(1, `${JSON.stringify(ack)}\n`)
}

/** Makes one effect after the other, and says so after each. */
async function write(writer: string, effect: (index: number) => Promise<number | undefined>): Promise<void> {
  for (let index = order.next[writer]!; ; index++) {
    if (order.mode === 'acknowledges early') {
      acknowledge({ writer, index })
      await effect(index)
    } else {
      const told = await effect(index)
      acknowledge({ writer, index, ...(told !== undefined && { told }) })
    }
  }
}

async function append(writer: string, index: number): Promise<number> {
  const events = eventKeys(writer, index).map(eventOf)
  const { seq } = isBatch(writer) ? await persistence.appendBatch(events) : await persistence.append(events[0]!)
  return seq
}

async function setPair(pair: string, index: number): Promise<undefined> {
  const value = pairValue(index)
  const ops = pairKeys(pair).map((at) => (value === undefined ? { delete: at } : { put: at, value }))
  if (order.mode === 'tears pairs') {
    await db.commit({ ops: ops.slice(0, 1) })
    if (index > 10) process.kill(process.pid, 'SIGKILL')
    await db.commit({ ops: ops.slice(1) })
  } else await db.commit({ ops })
}

async function save(writer: string, index: number): Promise<number> {
  const runId = runOf(writer)
  const throughSeq = (await persistence.getLatestSeq(runId)) ?? 0
  const { version } = await state.saveSnapshot({ runId, state: stateOf(index), throughSeq })
  return version
}

await Promise.all([
  ...APPENDERS.map((writer) => write(writer, (index) => append(writer, index))),
  ...PAIRS.map((writer) => write(writer, (index) => setPair(writer, index))),
  ...ADDERS.map((writer) => write(writer, () => state.increment(COUNTER))),
  ...SNAPSHOTS.map((writer) => write(writer, (index) => save(writer, index))),
])
