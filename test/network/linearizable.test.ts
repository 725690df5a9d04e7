/** What eight clients of a hosted database are told could have been told one after the other. */
import { describe, expect, it } from 'vitest'
import { runClient } from '../linearizability/client.ts'
import { judge } from '../linearizability/judge.ts'
import { RIGS } from './rigs.ts'

const CLIENTS = 8
const CALLS = 20

describe.each(RIGS)('$name', (kind) => {
  it.skipIf(!kind.isHere)('is linearizable under 8 clients over HTTP and TCP, seed 1', async () => {
    const rig = await kind.start()
    try {
      const histories = await Promise.all(
        Array.from({ length: CLIENTS }, (_, i) =>
          runClient({ driver: i % 2 ? rig.overTcp() : rig.overHttp(), name: `c${i}`, seed: 100 + i, calls: CALLS }),
        ),
      )
      expect(judge(histories)).toEqual([])
    } finally {
      await rig.end()
    }
  })
})
