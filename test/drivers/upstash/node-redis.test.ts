/** The conformance suite over node-redis, against a real redis-server. */
import { describe } from 'vitest'
import { conformance } from '../../../src/testing/index.ts'
import { atOnce, harness, hasRedis, redisForFile } from './support.ts'

describe.skipIf(!hasRedis)('upstash over node-redis', () => {
  const redis = redisForFile()
  conformance({
    harness: harness(
      'upstash over node-redis',
      () => redis.client,
      () => ({ send: (command) => redis.client.sendCommand(command) }),
      { durability: 'strict' },
    ),
    describe,
    it: atOnce,
  })
})
