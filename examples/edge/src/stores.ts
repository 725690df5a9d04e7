/** Stores reached over a network, which work on every platform. */
import { neon, neonConfig } from '@neondatabase/serverless'
import { Redis } from '@upstash/redis/cloudflare'
import type { Driver } from 'holdfast'
import { postgres } from 'holdfast/postgres'
import { upstash } from 'holdfast/upstash'

/** The addresses of the stores. */
export interface StoreSettings {
  readonly UPSTASH_REDIS_REST_URL?: string
  readonly UPSTASH_REDIS_REST_TOKEN?: string
  /** The connection string of a Postgres with SQL over HTTP, such as Neon. */
  readonly DATABASE_URL?: string
  /** The address for SQL over HTTP; by default derived from the connection string. */
  readonly DATABASE_ENDPOINT?: string
}

/** Creates the driver of a store by name. @throws if the name is unknown or the store is not configured */
export function networkStore(store: string | undefined, settings: StoreSettings): Driver {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token, DATABASE_URL: database } = settings
  if (store === 'upstash' && url && token) return upstash({ redis: new Redis({ url, token }) })
  if (store === 'postgres' && database) {
    if (settings.DATABASE_ENDPOINT) neonConfig.fetchEndpoint = settings.DATABASE_ENDPOINT
    return postgres({ db: neon(database) })
  }
  throw new Error('STORE must be one of the README, with the variables that it needs')
}
