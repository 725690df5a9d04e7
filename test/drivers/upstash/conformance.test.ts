/** The conformance suite over `@upstash/redis`, its protocol, and a real redis-server behind it. */
import { describe, it } from 'vitest'
import { conformance } from '../../../src/testing/index.ts'
import { harness, hasRedis, upstashForFile, vendor } from './support.ts'

describe.skipIf(!hasRedis)('upstash over @upstash/redis', () => {
  const own = upstashForFile()
  conformance({
    harness: harness(
      'upstash over @upstash/redis',
      () => own.client,
      () => vendor(own.rest),
    ),
    describe,
    // Most of the time is spent waiting for the server's clock.
    it: it.concurrent,
  })
})
