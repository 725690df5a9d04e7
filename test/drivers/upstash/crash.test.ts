import { describe, expect, it } from 'vitest'
import { randomFrom } from '../../support/random.ts'
import { crash } from './crashes.ts'
import { hasRedis } from './support.ts'

describe.skipIf(!hasRedis)('upstash over a server that is killed', () => {
  it('loses nothing that was acknowledged, and tears no commit', async () => {
    const { violations, acknowledged } = await crash(3, randomFrom(17))
    expect(violations).toEqual([])
    expect(acknowledged).toBeGreaterThan(20)
  })
})
