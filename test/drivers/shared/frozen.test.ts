/** A process that was suspended between two attempts makes no further one. */
import { afterEach, expect, it, vi } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { d1 } from '../../../src/drivers/sqlite/d1.ts'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'

afterEach(() => void vi.restoreAllMocks())

/** The client of a backend that never answers, and how often it was asked. */
interface Client {
  readonly asked: () => number
  readonly driver: Driver
}

const CLIENTS: Readonly<Record<string, (lose: () => Promise<never>) => Driver>> = {
  postgres: (lose) => postgres({ db: lose }),
  d1: (lose) => d1({ db: { prepare: () => ({ bind: () => ({}) as never }), batch: lose } }),
  libsql: (lose) => libsql({ db: { batch: lose } }),
}

function losing(make: (lose: () => Promise<never>) => Driver, onAsked: () => void): Client {
  let asked = 0
  const driver = make(async () => {
    asked++
    onAsked()
    throw new Error('fetch failed')
  })
  return { asked: () => asked, driver }
}

it.each(Object.keys(CLIENTS))('%s, suspended before a repeat', async (name) => {
  const steady = performance.now.bind(performance)
  let ahead = 0
  vi.spyOn(performance, 'now').mockImplementation(() => steady() + ahead)
  // The time passes while it waits for the next attempt.
  const { asked, driver } = losing(CLIENTS[name]!, () => setTimeout(() => (ahead = 700_000)))
  await expect(driver.open()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
  expect(asked()).toBe(1)
})
