/** A process that sends requests to a handler over one backend, and tells what each kind of them cost at worst. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Driver } from '../../../../src/core/driver.ts'
import { memory } from '../../../../src/drivers/memory.ts'
import { sqlite } from '../../../../src/drivers/sqlite/better-sqlite3.ts'
import { createHandler } from '../../../../src/served/http/index.ts'
import { replay } from '../../../../src/wrappers/replay.ts'
import { randomFrom } from '../../../support/random.ts'
import { post } from '../support.ts'
import { meter } from './measure.ts'
import { attempts } from './requests.ts'
import { FILLED, type Sizes, TENANT, fill } from './store.ts'

/** What a child is told to do. */
export interface Order {
  readonly backend: 'memory' | 'better-sqlite3'
  readonly seed: number
  readonly requests: number
  readonly sizes: Sizes
}

/** The most that any request of a kind has cost, and which it was. */
export interface Worst {
  answer: number
  memory: number
  blocked: number
}

/** What a child found. */
export interface Findings {
  /** By the kind of the request. */
  readonly kinds: Record<string, { count: number; worst: Worst; which: Worst }>
  readonly statuses: Record<string, number>
}

const { backend, seed, requests, sizes } = JSON.parse(process.argv[2]!) as Order
const directory = mkdtempSync(join(tmpdir(), 'holdfast-fuzz-'))
const driver: Driver =
  backend === 'memory' ? replay(memory()) : sqlite({ path: join(directory, 'fuzz.db'), replayWindow: 120_000 })
await driver.open()
for (const part of FILLED) await fill(driver, part, sizes)

const handler = createHandler(driver, { authorize: () => TENANT })
const next = attempts(randomFrom(seed), `s${seed}`, sizes)
const measure = meter()
const findings: Findings = { kinds: {}, statuses: {} }

for (let n = 1; n <= requests; n++) {
  const { kind, body, empties } = next()
  const request = post(body)
  let status = 0
  let answer = 0
  const cost = await measure(async () => {
    const response = await handler(request)
    ;({ status } = response)
    // As a server sends it on: piece by piece.
    for await (const chunk of response.body!) answer += (chunk as Uint8Array).length
  })
  const found = { ...cost, answer }
  const known = (findings.kinds[kind] ??= {
    count: 0,
    worst: { answer: 0, memory: 0, blocked: 0 },
    which: { answer: 0, memory: 0, blocked: 0 },
  })
  known.count++
  for (const name of ['answer', 'memory', 'blocked'] as const) {
    if (found[name] <= known.worst[name]) continue
    known.worst[name] = found[name]
    known.which[name] = n
  }
  findings.statuses[status] = (findings.statuses[status] ?? 0) + 1
  if (status === 200) for (const part of empties) await fill(driver, part, sizes)
  // Whoever waits for the findings sees that it goes on.
  if (n % 1000 === 0) process.send?.({ done: n })
}
await driver.close()
rmSync(directory, { recursive: true })
process.send!({ findings })
process.disconnect()
