/** Keys of encryption are changed while several processes write, on real backends, and nothing is lost. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { copy } from '../../src/ops/copy.ts'
import { type EncryptOptions, encrypt } from '../../src/wrappers/encrypt.ts'
import { part } from '../support/parts.ts'
import { type Endings, postgresPool, redisClient } from './servers.ts'
import { entriesOf } from './support.ts'

const [OLD, NEW] = [randomBytes(32), randomBytes(32)]
/** What every process goes through, one process after the other. */
const STAGES: readonly EncryptOptions[] = [
  { keys: { old: OLD }, current: 'old' },
  { keys: { old: OLD, new: NEW }, current: 'old' },
  { keys: { old: OLD, new: NEW }, current: 'new' },
]
const PROCESSES = 3
/** Turns that each process makes in every stage. */
const TURNS = 10

/** The id of the key that a record was made with; its length stands before it. */
const keyIdOf = (record: Uint8Array): string => Buffer.from(record.subarray(3, 3 + record[2]!)).toString()

/** Rotates under load. Every call of `connect` reaches the same database. */
async function rotate(connect: () => Driver): Promise<void> {
  const serve = (options: EncryptOptions): Holdfast => createHoldfast({ driver: encrypt(connect(), options) })
  const processes = Array.from({ length: PROCESSES }, () => serve(STAGES[0]!))
  const written: string[] = []
  const over = new AbortController()

  const load = processes.map(async (_, i) => {
    for (let n = 0; !over.signal.aborted; n++) {
      const { state, persistence } = processes[i]!
      const kind = `event ${i}/${n}`
      await Promise.all([
        state.increment('count'),
        persistence.append({ runId: 'r', workflow: 'order', kind, payload: 'secret' }),
        state.set(`value ${i}`, kind),
      ])
      written.push(kind)
      // Who has lost a race has to decrypt what won before it tries again, and would lose for ever against others without a rest.
      await setTimeout(2 + 4 * Math.random())
    }
  })
  const more = async (): Promise<void> => {
    for (const target = written.length + TURNS * PROCESSES; written.length < target;) await setTimeout(1)
  }
  await more()
  for (const stage of STAGES.slice(1)) {
    for (const i of processes.keys()) {
      const last = processes[i]!
      processes[i] = serve(stage)
      // Waits for the calls that are under way there.
      await last.close()
      await more()
    }
  }
  over.abort()
  await Promise.all(load)

  const [holdfast] = processes as [Holdfast]
  const told = async ({ state, persistence }: Holdfast) => ({
    kinds: (await persistence.load('r'))!.events.map((event) => event.kind).toSorted(),
    count: Number(await state.get('count')),
  })
  const all = { kinds: written.toSorted(), count: written.length }
  expect(await told(holdfast)).toEqual(all)

  const raw = connect()
  await raw.open()
  const records = (await entriesOf(raw, 'default!run!r')).map((entry) => entry.value)
  await raw.close()
  const keyIds = records.filter((it) => it instanceof Uint8Array).map(keyIdOf)
  expect(new Set(keyIds)).toEqual(new Set(['old', 'new']))

  // The old key can go when everything was written anew, and the log of a run is by a copy.
  const onlyNew = { keys: { new: NEW }, current: 'new' }
  const refused = serve(onlyNew)
  await expect(told(refused)).rejects.toMatchObject({ code: 'SERIALIZATION', details: { reason: 'unknown_key' } })
  await refused.close()
  const target = createHoldfast({ driver: encrypt(memory(), onlyNew) })
  expect(await copy(holdfast.db, target.db)).toMatchObject({ differing: 0 })
  expect(await told(target)).toEqual(all)
  for (const it of [...processes, target]) await it.close()
}

describe('keys are rotated under load: nothing is lost, and the old key can go', () => {
  const endings: Endings = []
  afterAll(async () => {
    for (const end of endings.toReversed()) await end()
  })

  it('in memory', () => {
    const shared = memory()
    return rotate(() => ({ ...shared, close: async () => {} }))
  })

  it('on SQLite', () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-rotation-'))
    endings.push(async () => rmSync(directory, { recursive: true }))
    return rotate(() => sqlite({ path: join(directory, 'a.db') }))
  })

  it.skipIf(!part('postgres'))('on PostgreSQL', async () => {
    const pool = await postgresPool(endings)
    await rotate(() => postgres({ db: pool }))
  })

  it.skipIf(!part('redis'))('on Redis', async () => {
    const client = await redisClient(endings)
    const namespace = randomUUID()
    await rotate(() => upstash({ redis: { send: (command) => client.sendCommand([...command]) }, namespace }))
  })
})
