/** A slice of the conformance suite over node-redis, against a real redis-server. */
import { describe } from 'vitest'
import { register } from '../../../src/testing/suite.ts'
import { slice } from '../../support/slice.ts'
import { atOnce, harness, hasRedis, redisForFile } from './support.ts'

describe.skipIf(!hasRedis)('upstash over node-redis', () => {
  const redis = redisForFile()
  register(slice, {
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
