/** The conformance suite over `@upstash/redis`, its protocol, and a real redis-server behind it. */
import { describe } from 'vitest'
import { conformance } from '../../../src/testing/index.ts'
import { atOnce, harness, hasRedis, upstashForFile, vendor } from './support.ts'

describe.skipIf(!hasRedis)('upstash over @upstash/redis', () => {
  const own = upstashForFile()
  conformance({
    harness: harness(
      'upstash over @upstash/redis',
      () => own.client,
      () => vendor(own.rest),
    ),
    describe,
    it: atOnce,
  })
})
