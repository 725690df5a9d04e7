/** The edge example as a Worker over stores that are not in a Durable Object: its requests and its cron trigger do the work. */
import { PGlite } from '@electric-sql/pglite'
import { overEmbedded, startNeon, startRedis, startUpstash } from 'holdfast/dev'
import { describe, expect, test } from 'vitest'
import { startWorkerd } from '../../examples/edge/local/workerd.ts'
import { withDirectory } from '../support/engines.ts'
import { part } from '../support/parts.ts'
import { startSubscribers } from './edge/subscribers.ts'

const TOKEN = 'a-token-of-the-tests'
const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
const IDS = Array.from({ length: 6 }, (_, i) => `delivery-${i}`)
const SEED = 6

interface Listed {
  readonly items: readonly { readonly id: string; readonly status: string }[]
}

/** A store's variables, and its end. */
interface Backend {
  readonly vars: Readonly<Record<string, string>>
  close(): Promise<void>
}

const d1 = async (): Promise<Backend> => ({ vars: { STORE: 'd1' }, close: async () => {} })

async function upstash(): Promise<Backend> {
  const redis = await startRedis()
  const { url, token, close } = await startUpstash({ redis: redis.url })
  return {
    vars: { STORE: 'upstash', UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token },
    close: async () => (await close(), redis.stop()),
  }
}

async function postgres(): Promise<Backend> {
  const db = await PGlite.create()
  const server = await startNeon(overEmbedded(db))
  return {
    vars: {
      STORE: 'postgres',
      DATABASE_URL: `postgres://postgres:secret@db.localtest/postgres`,
      DATABASE_ENDPOINT: `${server.url}/sql`,
    },
    close: async () => (await server.close(), db.close()),
  }
}

describe('the edge example in workerd', () => {
  const stores = [
    { name: 'D1', start: d1, isHere: true },
    { name: 'Upstash', start: upstash, isHere: part('redis') !== undefined },
    { name: 'Postgres', start: postgres, isHere: true },
  ]
  for (const { name, start, isHere } of stores) {
    test.skipIf(!isHere)(`keeps its deliveries in ${name}`, () =>
      withDirectory(async (data) => {
        const subscribers = await startSubscribers(SEED, 0.3)
        const backend = await start()
        const worker = await startWorkerd({
          port: 0,
          data,
          vars: {
            ...backend.vars,
            TOKEN,
            SUBSCRIBERS: JSON.stringify({ billing: subscribers.urlOf('billing') }),
            RETRY: JSON.stringify({ maxAttempts: 20, initialDelay: 5, maxDelay: 50 }),
          },
        })
        try {
          const url = `${(await worker.ready).origin}/api/deliveries`
          const send = async (id: string): Promise<number> => {
            const init = { method: 'POST', headers: { ...HEADERS, 'webhook-id': id }, body: id }
            return (await fetch(url, init)).status
          }
          expect(new Set(await Promise.all(IDS.map(send)))).toEqual(new Set([202]))
          expect(new Set(await Promise.all(IDS.map(send)))).toEqual(new Set([200]))

          const trigger = await worker.getWorker()
          let items: Listed['items'] = []
          do {
            await trigger.scheduled({ cron: '* * * * *' })
            ;({ items } = (await (await fetch(url, { headers: HEADERS })).json()) as Listed)
          } while (items.some(({ status }) => status !== 'completed'))
          expect(items.map(({ id }) => id).toSorted()).toEqual(IDS.toSorted())
          expect([...subscribers.taken.keys()].toSorted()).toEqual(IDS.map((id) => `${id}/billing`).toSorted())
          expect([...subscribers.taken.values()].filter(({ times }) => times > 1)).toEqual([])
          expect(subscribers.failed).toBeGreaterThan(0)
        } finally {
          await worker.dispose()
          await backend.close()
          await subscribers.close()
        }
      }),
    )
  }
})
