/** A tab that works on runs together with another one, on one database. The address names it. */
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { finishAll, reportTo } from '../../runner/everywhere/worker.ts'
import { QUERY } from './report.ts'

/** Milliseconds between two signs of life of a tab that is halted. */
const PULSE = 30
const worker = QUERY.get('worker')!
const report = reportTo('/report')

await finishAll({
  worker,
  holdfast: createHoldfast({ driver: indexedDb({ name: 'workflows' }), durability: 'relaxed' }),
  report,
  async halt() {
    for (;;) {
      await report({ worker, say: 'here' })
      await new Promise((resolve) => setTimeout(resolve, PULSE))
    }
  },
})
