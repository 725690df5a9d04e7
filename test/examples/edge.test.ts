/** The edge example, end to end: in workerd with a Durable Object, and in Deno with a file. `npm run test:edge` plays more. */
import { describe, expect, test } from 'vitest'
import { part } from '../support/parts.ts'
import { hosts } from './edge/hosts.ts'
import { play } from './edge/play.ts'

const PLOT = { deliveries: 150, kills: 1, seed: 20261121 }
/** What a kill can interrupt between a handover and its record: six runs at a time, with two subscribers each. */
const UNDER_WAY = 12

describe('the edge example', () => {
  test.skipIf(!part('deno'))('is tested in Deno, too', () => {
    expect(hosts.map(({ name }) => name)).toEqual(['workerd', 'Deno'])
  })

  test.concurrent.each(hosts)(
    'in $name accepts each delivery once, and hands over all of them, killed or not',
    async (host) => {
      const { deliveries, kills } = PLOT
      const result = await play(host, PLOT)
      console.log(JSON.stringify(result))
      expect(result).toMatchObject({
        kills,
        acceptedMore: 0,
        runs: deliveries,
        completed: deliveries,
        recorded: 2 * deliveries,
        lost: 0,
        garbled: 0,
      })
      expect(result.sent).toBeGreaterThan(deliveries)
      expect(result.acceptedUntold).toBeLessThanOrEqual(kills * 10)
      expect(result.failed / result.requests).toBeGreaterThan(0.2)
      expect(result.repeated).toBeLessThanOrEqual(kills * UNDER_WAY)
    },
  )
})
