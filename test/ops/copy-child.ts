/** A process that copies, until it is killed in the middle of it. Usage: tsx copy-child.ts ORDER */
import { createDatabase } from '../../src/core/database.ts'
import { copy } from '../../src/ops/index.ts'
import { openAt } from './addresses.ts'
import { type CutOrder, cutOff } from './cut.ts'

const order = JSON.parse(process.argv[2]!) as CutOrder
const kill = (): never => {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('Still here')
}
const from = createDatabase({ driver: await openAt(order.from) })
const to = createDatabase({ driver: cutOff(await openAt(order.to), order, kill) })
await copy(from, to, { batch: order.batch })
