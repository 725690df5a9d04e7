/** The conformance suite over `@upstash/redis`, its protocol, and a real redis-server behind it. */
import { describe } from 'vitest'
import { register } from '../../../src/testing/suite.ts'
import { costly } from '../../support/slice.ts'
import { atOnce, harness, hasRedis, upstashForFile, vendor } from './support.ts'

describe.skipIf(!hasRedis)('upstash over @upstash/redis', () => {
  const own = upstashForFile()
  register(costly, {
    harness: harness(
      'upstash over @upstash/redis',
      () => own.client,
      () => vendor(own.rest),
    ),
    describe,
    it: atOnce,
  })
})
