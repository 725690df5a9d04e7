/** What importing an entry for the edge, and making a holdfast, leave behind there: nothing. */
import { createHook } from 'node:async_hooks'
import { resolve } from 'node:path'
import { Script } from 'node:vm'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { entries } from '../../scripts/entries.ts'
import type { Driver } from '../../src/core/driver.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { d1 } from '../../src/drivers/sqlite/d1.ts'
import { durableObject } from '../../src/drivers/sqlite/durable-object.ts'
import { libsql } from '../../src/drivers/sqlite/libsql.ts'
import { unstorage } from '../../src/drivers/unstorage/driver.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { remote } from '../../src/served/http/index.ts'

/** For Node, or for another runtime with modules of its own. */
const ELSEWHERE = ['./better-sqlite3', './node-sqlite', './bun-sqlite', './dev']
const edge = entries.filter(({ name }) => !ELSEWHERE.includes(name))

/** The promises, timers and handles that come to be while something is done, which is not waited for. */
function madeBy(work: () => unknown): string[] {
  const made: string[] = []
  const hook = createHook({ init: (_, type) => void made.push(type) }).enable()
  try {
    work()
  } finally {
    hook.disable()
  }
  return made
}

test('it is seen what is made', () => {
  expect(madeBy(() => (async () => {})())).toEqual(['PROMISE'])
  const timers = madeBy(() => clearTimeout(setTimeout(() => {}, 1000)))
  expect(timers).toContain('Timeout')
})

describe('importing leaves no promise, timer or handle', () => {
  test.each(edge)('$name', async ({ source }) => {
    const { outputFiles } = await build({
      entryPoints: [resolve(source)],
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'entry',
      platform: 'neutral',
      mainFields: ['module', 'main'],
    })
    // A script and no module, so that nothing but its own code is at work while it runs.
    const script = new Script(`${outputFiles[0]!.text}; entry`)
    let exported: object = {}
    expect(madeBy(() => (exported = script.runInThisContext() as object))).toEqual([])
    for (const value of Object.values(exported)) expect(Object(value)).not.toHaveProperty('then')
  })
})

describe('making a holdfast, and all of its stores, asks nobody', () => {
  let asked = 0
  /** Whatever is called of it counts, and whatever is got of it can be called. */
  const nobody: unknown = new Proxy(() => {}, {
    get: (_, name) => (name === '$client' ? undefined : nobody),
    has: (_, name) => name !== '$client',
    apply: () => (asked++, nobody),
  })
  const handle = nobody as never
  /** Promises that are settled, and random numbers, which come at once. */
  const ITS_OWN = new Set(['PROMISE', 'RANDOMBYTESREQUEST'])
  const drivers: Readonly<Record<string, () => Driver>> = {
    d1: () => d1({ db: handle }),
    'durable object': () => durableObject({ storage: handle }),
    libSQL: () => libsql({ db: handle }),
    postgres: () => postgres({ db: handle }),
    upstash: () => upstash({ redis: handle }),
    unstorage: () => unstorage({ storage: handle, singleWriter: true }),
    remote: () => remote({ url: 'http://127.0.0.1/state', fetch: handle }),
  }

  test.each(Object.entries(drivers))('%s', (_, make) => {
    asked = 0
    const made = madeBy(() => {
      const holdfast = createHoldfast({ driver: make() })
      for (const store of Object.values(holdfast)) expect(store).toBeDefined()
    })
    expect(made.filter((type) => !ITS_OWN.has(type))).toEqual([])
    expect(asked).toBe(0)
  })
})
