/** Stores behind a network, which are the same from everywhere. */
import { neon, neonConfig } from '@neondatabase/serverless'
import { Redis } from '@upstash/redis/cloudflare'
import type { Driver } from 'holdfast'
import { postgres } from 'holdfast/postgres'
import { upstash } from 'holdfast/upstash'

/** Where they are. */
export interface StoreSettings {
  readonly UPSTASH_REDIS_REST_URL?: string
  readonly UPSTASH_REDIS_REST_TOKEN?: string
  /** The connection string of a Postgres that takes SQL over HTTP, as Neon does. */
  readonly DATABASE_URL?: string
  /** Where it takes SQL over HTTP; by default that follows from the connection string. */
  readonly DATABASE_ENDPOINT?: string
}

/** The driver of a store by its name. @throws where it is unknown or not configured */
export function networkStore(store: string | undefined, settings: StoreSettings): Driver {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token, DATABASE_URL: database } = settings
  if (store === 'upstash' && url && token) return upstash({ redis: new Redis({ url, token }) })
  if (store === 'postgres' && database) {
    if (settings.DATABASE_ENDPOINT) neonConfig.fetchEndpoint = settings.DATABASE_ENDPOINT
    return postgres({ db: neon(database) })
  }
  throw new Error('STORE must be one of the README, with the variables that it needs')
}
