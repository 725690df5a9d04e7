/** What it takes to make a holdfast for a request. @module */
import { Redis } from '@upstash/redis'
import { type Driver, createHoldfast } from 'holdfast'
import { d1 } from 'holdfast/d1'
import { remote } from 'holdfast/http'
import { postgres } from 'holdfast/postgres'
import { upstash } from 'holdfast/upstash'
import { type RaceOptions, race, timeOf } from '../measure.ts'
import { contender } from './pair.ts'
import type { MakingRow } from './report.ts'

/** Nobody is asked for anything. */
const never = (): never => {
  throw new Error('Something was asked for')
}
const url = 'http://127.0.0.1/state'

const DRIVERS: Readonly<Record<string, () => Driver>> = {
  D1: () => d1({ db: { prepare: never, batch: never } }),
  Upstash: () => upstash({ redis: new Redis({ url, token: 'token', enableTelemetry: false }) }),
  Postgres: () => postgres({ db: never }),
  HTTP: () => remote({ url, fetch: never }),
}

/** In Node, over drivers that are used from requests. */
export async function measureMaking(options: RaceOptions): Promise<MakingRow[]> {
  const timings = await race(
    Object.entries(DRIVERS).map(([name, make]) =>
      contender(name, async (ops) => {
        for (let i = 0; i < ops; i++) {
          const { state, persistence } = createHoldfast({ driver: make() })
          if (!state || !persistence) throw new Error('There are no stores')
        }
      }),
    ),
    options,
  )
  return timings.map((timing) => ({ where: `over ${timing.name}, in Node`, microseconds: timeOf(timing, 1000) }))
}
