/** The cases of the driver itself over ioredis. */
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { cases, runCase } from '../../../src/testing/index.ts'
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
  const chosen = cases.filter(({ group }) => group === 'driver')

  it('has cases', () => expect(chosen.length).toBeGreaterThan(50))
  for (const one of chosen) it.concurrent(`${one.id} ${one.name}`, () => runCase(one, its))
})
