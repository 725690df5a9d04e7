/** A process of the concurrent tests: waits for the word to begin, runs its clients, and sends what they did. */
import { once } from 'node:events'
import { engineNamed } from '../support/engines.ts'
import { runClient } from './client.ts'

/** What a process has to do. */
export interface Order {
  readonly engine: string
  readonly path: string
  readonly names: readonly string[]
  readonly seed: number
  readonly calls: number
}

process.send!('ready')
const [order] = (await once(process, 'message')) as [Order]
const engine = engineNamed(order.engine)
const histories = await Promise.all(
  order.names.map(async (name, i) => {
    const driver = await engine.make(order.path)
    return runClient({ driver, name, seed: order.seed + i, calls: order.calls })
  }),
)
process.send!(histories, () => process.disconnect())
