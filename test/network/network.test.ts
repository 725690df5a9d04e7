/** A short run each of what `npm run test:network` and `npm run test:crash:*` do at length. */
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../support/random.ts'
import { crash } from './crashes.ts'
import { loseAnswers } from './exactly-once.ts'
import { RIGS } from './rigs.ts'

const SEED = 17

describe.each(RIGS)('$name over a network that lies, seed 17', (kind) => {
  it.skipIf(!kind.isHere)('has each acknowledged effect once, and the truth for who asks again', async () => {
    const { violations, cut, acknowledged } = await loseAnswers(kind, {
      calls: 450,
      restarts: 1,
      random: randomFrom(SEED),
    })
    expect(violations).toEqual([])
    expect(acknowledged).toEqual({ append: 150, increment: 150, claim: 150 })
    expect(Math.min(cut.request, cut.answer)).toBeGreaterThan(10)
  })

  it.skipIf(!kind.isHere)(
    'loses nothing that was acknowledged, and tears no commit, when the server is killed',
    async () => {
      const { violations, acknowledged } = await crash(kind, 2, randomFrom(SEED))
      expect(violations).toEqual([])
      expect(acknowledged).toBeGreaterThan(20)
    },
  )
})
