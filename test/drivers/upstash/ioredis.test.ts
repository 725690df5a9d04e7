/** The cases of the driver itself over ioredis, or all of them. */
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { runCase } from '../../../src/testing/index.ts'
import { driverSlice } from '../../support/slice.ts'
import { harness, hasRedis, redisForFile } from './support.ts'

describe.skipIf(!hasRedis)('upstash over ioredis', () => {
  const own = redisForFile()
  let client: Redis | undefined
  afterAll(() => client?.disconnect())
  const redis = () => {
    const connection = (client ??= new Redis(own.server.port, '127.0.0.1'))
    return { send: ([name, ...args]: string[]) => connection.call(name!, ...args) }
  }
  const its = harness('upstash over ioredis', () => own.client, redis, { durability: 'strict' })

  it('has cases', () => expect(driverSlice.length).toBeGreaterThan(50))
  for (const one of driverSlice) it.concurrent(`${one.id} ${one.name}`, () => runCase(one, its))
})
