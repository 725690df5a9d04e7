/** `holdfast dev` as somebody would use it: started, its environment taken, used through the vendors' own clients. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter } from 'node:path'
import { Redis } from '@upstash/redis'
import { neon, neonConfig } from '@neondatabase/serverless'
import { afterEach, describe, expect, test } from 'vitest'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { takenPort } from '../dev/ports.ts'
import { part } from '../support/parts.ts'
import { PROGRAM } from './support.ts'

const bin = part('postgres')
/** Debian keeps PostgreSQL's programs off the path. */
const env = { ...process.env, PATH: [bin, process.env['PATH']].filter(Boolean).join(delimiter) }

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** Starts it, and resolves with what it prints for the environment. */
async function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, 'dev', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let said = ''
  child.stderr.on('data', (data) => (said += String(data)))
  const [out] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(said))),
  ])) as [Buffer]
  const environment = Object.fromEntries(
    out
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
  )
  return {
    environment,
    /** What it wrote beside the result: all of it when it has ended. */
    said: () => said,
    async interrupt(): Promise<unknown> {
      const exit = once(child, 'close')
      child.kill('SIGINT')
      return (await exit)[0]
    },
  }
}

describe('holdfast dev', () => {
  test.skipIf(!part('redis'))('serves the protocol of Upstash, to whoever has the token', async () => {
    const { environment, interrupt } = await start('--only', 'upstash', '--token', 'secret')
    const url = environment['UPSTASH_REDIS_REST_URL']!
    expect(Object.keys(environment)).toEqual(['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN'])
    const handle = (token: string) => new Redis({ url, token, enableTelemetry: false })
    const { state } = createHoldfast({ driver: upstash({ redis: handle('secret') }) })
    await state.set('k', 'v')
    expect(await state.get('k')).toBe('v')
    const other = createHoldfast({ driver: upstash({ redis: handle('wrong') }) })
    await expect(other.state.get('k')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect(await interrupt()).toBe(0)
  })

  /** What it prints is enough to use it, and to be told that the password is wrong. */
  const servesNeon = async (...args: readonly string[]): Promise<void> => {
    const { environment, said, interrupt } = await start('--only', 'neon', ...args)
    const url = environment['DATABASE_URL']!
    expect(Object.keys(environment)).toEqual(['DATABASE_URL', 'NEON_FETCH_ENDPOINT'])
    neonConfig.fetchEndpoint = () => environment['NEON_FETCH_ENDPOINT']!
    const { state } = createHoldfast({ driver: postgres({ db: neon(url), timeout: 60_000 }) })
    await state.set('k', 'v')
    expect(await state.get('k')).toBe('v')
    const wrong = createHoldfast({ driver: postgres({ db: neon(url.replace(':local@', ':wrong@')) }) })
    await expect(wrong.state.get('k')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect(await interrupt()).toBe(0)
    expect(said()).toContain('neonConfig.fetchEndpoint = () => process.env.NEON_FETCH_ENDPOINT')
  }

  test('serves the protocol of Neon over an embedded database', () => servesNeon())

  test.skipIf(!bin)('serves the protocol of Neon over the PostgreSQL of the machine', () =>
    servesNeon('--postgres', 'server'),
  )

  describe('ends by itself where a port is taken', () => {
    const refused = async (server: 'upstash' | 'neon', ...args: readonly string[]) =>
      expect(start('--only', server, `--${server}-port`, String(await takenPort()), ...args)).rejects.toThrow(
        'EADDRINUSE',
      )
    test.skipIf(!part('redis'))('with a redis-server behind it', () => refused('upstash'))
    test.skipIf(!bin)('with a PostgreSQL behind it', () => refused('neon', '--postgres', 'server'))
  })

  test('says in one line what is wrong with its arguments', async () => {
    await expect(start('--only', 'neon', '--neon-port', '70000')).rejects.toThrow(
      'A port must be a number from 0 to 65535, not 70000',
    )
  })
})
