/** Opening, closing, time, and several processes. @module */
import { equal, ok, rejects } from '../assert.ts'
import { absent, append, at, atOnce, pairs, put, remove, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import type { Client } from '../client.ts'
import { eventually, MANY_WRITERS } from '../many.ts'

const sees = (t: Context, other: Client, key: string, value: string): Promise<boolean> =>
  eventually(t, async () => (await other.get(at(key)))?.value === value)

/** `open` is idempotent. */
export const openTwice: Case = defineCase('DR-1101', 'opening again changes nothing', async (t) => {
  await t.write(put('k', 'v'))
  await t.driver.open()
  await atOnce(10, () => t.driver.open())
  equal((await t.get(at('k')))?.value, 'v')
})

/** Ten callers may try to be the first. */
export const openRace: Case = defineCase(
  'DR-1102',
  'ten opens at once, of a database that does not exist yet',
  async (t) => {
    const backend = await t.harness.create()
    try {
      await atOnce(10, () => backend.driver.open())
      equal((await backend.driver.read([{ get: at('k') }])).answers, [null])
    } finally {
      await backend.driver.close()
      await backend.dispose?.()
    }
  },
)

/** `close` is idempotent. */
export const closeTwice: Case = defineCase(
  'DR-1103',
  'closing again does nothing, even at once, even if never opened',
  async (t) => {
    await t.driver.close()
    await t.driver.close()
    await atOnce(3, () => t.driver.close())
    const backend = await t.harness.create()
    await backend.driver.close()
    await backend.dispose?.()
  },
)

/** Every answer carries the backend's clock. */
export const now: Case = defineCase('DR-1104', 'now is a plausible time and does not go backwards', async (t) => {
  const start = Date.now()
  let last = (await t.driver.read([])).now
  // A backend whose clock is moved by hand may show any day.
  const near = t.backend.advance === undefined ? 86_400_000 : Number.POSITIVE_INFINITY
  ok(Math.abs(last - start) < near, `${last} is near the time of this machine, ${start}`)
  for (const n of upTo(10)) {
    const { now: next } = n % 2 ? await t.driver.read([{ get: at('k') }]) : await t.send([{ ops: [put('k', 'v')] }])
    ok(Number.isFinite(next) && next > 0, 'A time in milliseconds since 1970')
    ok(next >= last - 1000, 'At most a correction of the clock is between two answers')
    last = next
  }
})

/** The backend's time passes as it does here. */
export const clockGoesOn: Case = defineCase('DR-1105', 'now advances', async (t) => {
  const { now: before } = await t.driver.read([])
  await t.sleep(200)
  const { now: after } = await t.driver.read([])
  ok(after - before >= 150 && after - before < 60_000, `${after - before} ms have passed while 200 ms did`)
})

/** A read sees every commit answered before it began, at least those of its client. */
export const readYourWrites: Case = defineCase('DR-1106', 'a client reads what it has just written', async (t) => {
  for (const n of upTo(30)) {
    await t.write(put('k', String(n)), append('log!', 'x'))
    const [entry, page] = await t.read(
      { get: at('k') },
      { range: { part: at('k').part, start: 'log!', end: 'log"', limit: 1, reverse: true } },
    )
    equal([entry?.value, page.entries[0]?.key.endsWith(String(n))], [String(n), true])
  }
})

/** `CallOptions.signal` stops the waiting, and does nothing else. */
export const unusedSignal: Case = defineCase('DR-1107', 'a signal that is never aborted changes nothing', async (t) => {
  const { signal } = new AbortController()
  const commits = [{ id: t.id(), checks: [], ops: [put('k', 'v')], durability: 'strict' as const }]
  equal((await t.driver.commit({ id: t.id(), commits }, { signal })).outcomes, [{ ok: true, seqs: [] }])
  const { answers } = await t.driver.read([{ get: at('k') }], { signal })
  equal((answers[0] as { value?: unknown } | null)?.value, 'v')
  await t.driver.open({ signal })
})

/** A call is aborted or answered, never stuck, never half done; the driver goes on. */
export const abortedSignal: Case = defineCase(
  'DR-1108',
  'an aborted call ends, whole or without effect, and the next call works',
  async (t) => {
    for (const n of upTo(5)) {
      const controller = new AbortController()
      const ops = [put(`a${n}`, 'v'), append('log!', 'x'), put(at(`b${n}`, 'elsewhere'), 'v')]
      const call = t.driver.commit(
        { id: t.id(), commits: [{ id: t.id(), checks: [], ops, durability: 'strict' }] },
        { signal: controller.signal },
      )
      controller.abort()
      const answered = await call.then(
        () => true,
        (error: unknown) => rejects(Promise.reject(error), 'ABORTED').then(() => false),
      )
      await t.write(put('next', String(n)))
      const [a, b] = await t.read({ get: at(`a${n}`) }, { get: at(`b${n}`, 'elsewhere') })
      equal(a === null, b === null, 'Whole or not at all')
      if (answered) ok(a !== null, 'What was answered took effect')
    }
  },
)

/** Two processes, one database. */
export const twoDrivers: Case = defineCase(
  'DR-1109',
  'two drivers on the same data see each other',
  async (t) => {
    const other = await t.reopen()
    await t.write(put('k', 'mine'), append('log!', 'mine'))
    ok(await sees(t, other, 'k', 'mine'), 'The other sees what was written here')
    equal(await other.commit({ checks: [absent('k')], ops: [put('k', 'x')] }).then((outcome) => outcome.ok), false)
    equal((await other.write(put('k', 'theirs'), append('log!', 'theirs'))).seqs, [2])
    ok(await sees(t, t, 'k', 'theirs'), 'And the other way round')
    equal((await t.write(append('log!', 'mine'))).seqs, [3])
  },
  MANY_WRITERS,
)

/** Concurrent `CREATE … IF NOT EXISTS` has failed before. */
export const openByMany: Case = defineCase(
  'DR-1110',
  'ten drivers open the same data at once',
  async (t) => {
    const clients = await atOnce(10, () => t.reopen())
    await Promise.all(clients.map((client) => client.write(append('log!', 'x'))))
    equal((await t.write(append('log!', 'x'))).seqs, [11])
  },
  MANY_WRITERS,
)

/** A driver that closes takes nothing from the others. */
export const closeOne: Case = defineCase(
  'DR-1111',
  'closing one driver does not affect another on the same data',
  async (t) => {
    const other = await t.reopen()
    await other.write(put('k', 'v'))
    await other.driver.close()
    ok(await sees(t, t, 'k', 'v'), 'What it wrote is there')
    await t.write(put('k', 'w'))
    equal((await t.get(at('k')))?.value, 'w')
  },
  MANY_WRITERS,
)

/** Answered commits exist when the database is opened again. */
export const survivesClose: Case = defineCase(
  'DR-1112',
  'answered commits survive closing and opening again',
  async (t) => {
    const { version, now: written } = await t.write(
      put('text', 'é😀'),
      put('raw', new Uint8Array([0, 255])),
      put('expires', 'v', { in: 3_600_000 }),
      append('log!', 'x', 'ref'),
    )
    const before = await t.all()
    await t.driver.close()
    const again = await t.reopen()
    equal(await again.all(), before)
    equal(pairs(before).length, 5)
    equal((await again.get(at('expires')))?.expiresAt, written + 3_600_000)
    equal(await again.commit({ checks: [{ at: at('text'), version }], ops: [append('log!', 'y')] }), {
      ok: true,
      seqs: [2],
    })
  },
  {
    needs: ({ durability }, backend) => durability !== 'none' && backend.reopen !== undefined,
    otherwise: async ({ capabilities }) =>
      equal(capabilities.durability, 'none', 'A harness for a durable driver must have reopen'),
  },
)

/** A program that closes to save data, such as a page in the background, goes on with the same driver. */
export const openedAgain: Case = defineCase(
  'DR-1113',
  'a driver can be opened again after close; until then, calls are refused',
  async (t) => {
    const { driver } = t
    await t.write(put('k', 'v'), append('log!', 'x'))
    const entries = await t.all()
    for (const _ of upTo(3)) {
      await driver.close()
      const commits = [{ id: t.id(), checks: [], ops: [put('never', 'v')], durability: 'relaxed' as const }]
      for (const call of [() => driver.read([{ get: at('k') }]), () => driver.commit({ id: t.id(), commits })]) {
        const { retryable, ambiguous } = await rejects(call(), 'CLOSED')
        equal([retryable, ambiguous], [false, false])
      }
      await atOnce(3, () => driver.open())
      await t.write(put('again', 'v'))
      equal((await t.get(at('again')))?.value, 'v')
      equal(await t.get(at('never')), null)
      if (driver.capabilities.durability === 'none') continue
      await t.write(remove('again'))
      equal(await t.all(), entries)
      equal(await t.commit({ checks: [{ log: at('log!'), last: 1 }], ops: [] }), { ok: true, seqs: [] })
    }
  },
)
