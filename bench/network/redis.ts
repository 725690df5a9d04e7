/** Who takes part on Redis: over Upstash's protocol, and over its own. */
import KeyvRedis from '@keyv/redis'
import { Redis } from '@upstash/redis'
import { createHoldfast } from 'holdfast'
import { startRedis, startUpstash } from 'holdfast/dev'
import { upstash } from 'holdfast/upstash'
import { Keyv } from 'keyv'
import { createClient } from 'redis'
import { type Storage, createStorage } from 'unstorage'
import upstashDriver from 'unstorage/drivers/upstash'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import type { Subject } from '../subjects/subject.ts'
import type { Field } from './postgres.ts'
import { proxyTo } from './proxy.ts'
import { type NetworkOpened, SURVIVES, ours } from './subject.ts'

const HOLDFAST = 'holdfast over HTTP'
const RAW = 'raw @upstash/redis'

const keyOf = (n: number): string => `${RUN}:${String(n).padStart(16, '0')}`

/** Starts Redis, which syncs every write, and what speaks Upstash's protocol in front of it. */
export async function startField(): Promise<Field> {
  const server = await startRedis({ durable: true })
  const http = await startUpstash({ redis: server.url })
  const tcp = await proxyTo(server.port)
  const web = await proxyTo(http.port)
  const url = `http://127.0.0.1:${web.port}`
  const vendor = (): Redis => new Redis({ url, token: http.token, enableTelemetry: false, enableAutoPipelining: false })
  const placeOf = (place: string): string => place.split('/').at(-1)!.slice(-60)

  const raw: Subject = {
    name: RAW,
    survives: SURVIVES,
    async open(place): Promise<NetworkOpened> {
      const redis = vendor()
      const at = (key: string): string => `${placeOf(place)}:${key}`
      return {
        append: (n) => redis.rpush(at('log'), JSON.stringify(eventOf(n))),
        set: (n) => redis.set(at(nameOf(n)), JSON.stringify(documentOf(n))),
        get: (n) => redis.get(at(nameOf(n))),
        load: async () => (await redis.lrange(at('log'), 0, -1)).length,
        claim: (n) => redis.set(at(`claim:${n}`), 'w', { nx: true, px: 60_000 }),
        save: (n) => redis.set(at('state'), JSON.stringify(documentOf(n))),
        ping: () => redis.ping(),
        close: () => {},
      }
    },
  }

  const keyed = (
    set: (key: string, value: unknown) => unknown,
    get: (key: string) => unknown,
    getMany: (keys: string[]) => Promise<number>,
    close: () => Promise<unknown>,
  ): NetworkOpened => ({
    append: (n) => set(keyOf(n), eventOf(n)),
    set: (n) => set(nameOf(n), documentOf(n)),
    get: (n) => get(nameOf(n)),
    load: (events) => getMany(Array.from({ length: events }, (_, n) => keyOf(n))),
    save: (n) => set('state', documentOf(n)),
    close: async () => void (await close()),
  })

  const keyv: Subject = {
    name: 'Keyv @keyv/redis',
    survives: SURVIVES,
    async open(place) {
      const store = new KeyvRedis(`redis://127.0.0.1:${tcp.port}`)
      const it = new Keyv({ store, namespace: placeOf(place) })
      const count = async (keys: string[]) => (await it.getMany(keys)).filter((found) => found !== undefined).length
      return keyed(
        (key, value) => it.set(key, value),
        (key) => it.get(key),
        count,
        () => it.disconnect(),
      )
    },
  }

  const unstorage: Subject = {
    name: 'unstorage upstash',
    survives: SURVIVES,
    async open(place) {
      const storage: Storage = createStorage({
        driver: upstashDriver({ url, token: http.token, base: placeOf(place) }),
      })
      return keyed(
        (key, value) => storage.setItem(key, value as object),
        (key) => storage.getItem(key),
        async (keys) => (await storage.getItems(keys)).length,
        () => storage.dispose(),
      )
    },
  }

  return {
    proxies: [tcp, web],
    subjects: [
      raw,
      ours(HOLDFAST, async (place) => {
        const redis = vendor()
        const stores = createHoldfast({ driver: upstash({ redis, namespace: placeOf(place), timeout: 60_000 }) })
        return { ...stores, ping: () => redis.ping() }
      }),
      ours('holdfast over node-redis', async (place) => {
        const client = createClient({ url: `redis://127.0.0.1:${tcp.port}` })
        await client.connect()
        const redis = { send: (command: string[]) => client.sendCommand(command) }
        const stores = createHoldfast({
          driver: upstash({ redis, namespace: placeOf(place), durability: 'strict', timeout: 60_000 }),
        })
        return { ...stores, ping: () => client.ping(), close: async () => (await stores.close(), client.destroy()) }
      }),
      keyv,
      unstorage,
    ],
    create: async () => server.url,
    async end() {
      for (const it of [tcp, web]) it.close()
      await http.close()
      await server.stop()
    },
  }
}
