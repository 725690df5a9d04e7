/** Time is the server's: clients an hour apart agree on leases and expiry. */
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createHoldfast } from '../../src/holdfast.ts'
import { RIGS } from './rigs.ts'

const HOUR = 3_600_000

describe.each(RIGS)('clients of $name an hour apart', (kind) => {
  it.skipIf(!kind.isHere)('agree on leases and expiry', async () => {
    const rig = await kind.start()
    try {
      const skewed = (by: number) => createHoldfast({ driver: rig.overHttp(), clock: () => Date.now() + by })
      const [early, late] = [skewed(-HOUR / 2), skewed(HOUR / 2)]
      await early.persistence.append({ runId: 'r', workflow: 'w', kind: 'k' })
      const claim = (by: typeof early, workerId: string, stepId: string, ttl: number) =>
        by.claims.claimTask({ runId: 'r', stepId, workerId, ttl })
      expect(await claim(early, 'early', 'long', 60_000)).toBeDefined()
      expect(await claim(late, 'late', 'long', 60_000)).toBeUndefined()
      expect((await late.claims.getClaim('r', { stepId: 'long' }))?.workerId).toBe('early')
      expect(await claim(late, 'late', 'short', 200)).toBeDefined()
      await pause(300)
      expect(await claim(early, 'early', 'short', 60_000)).toBeDefined()
      await early.state.set('k', 'v', { ttl: 1500 })
      expect(await late.state.get('k')).toBe('v')
      await pause(1600)
      expect([await early.state.get('k'), await late.state.get('k')]).toEqual([undefined, undefined])
    } finally {
      await rig.end()
    }
  })
})
