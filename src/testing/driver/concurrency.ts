/** Strict serializability, as far as concurrent callers can observe it. @module */
import type { Outcome } from '../../core/driver.ts'
import { equal, ok } from '../assert.ts'
import { absent, append, at, atOnce, ends, entryKey, PART, put, remove, removePart, unchanged, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import type { Client } from '../client.ts'
import { wait } from '../context.ts'
import { eventually, MANY_WRITERS } from '../many.ts'

const LOG = { start: 'log!', end: 'log"' } as const

const winners = (outcomes: readonly Outcome[]): number => outcomes.filter((outcome) => outcome.ok).length

/** How many turns each side of {@link during} gets, at least. */
const ROUNDS = 24

/** Works and watches at the same time, until both had enough turns or one fails. */
async function during(
  work: (n: number) => Promise<unknown>,
  ...watchers: readonly (() => Promise<void>)[]
): Promise<void> {
  const rounds = [work, ...watchers].map(() => 0)
  const state = { isOver: false }
  const loop = async (run: (n: number) => Promise<unknown>, i: number): Promise<void> => {
    for (let n = 0; !state.isOver && rounds.some((done) => done < ROUNDS); n++) {
      await run(n)
      rounds[i]!++
      // A driver that answers at once must not starve the others.
      if (n % 4 === 3) await wait(0)
    }
  }
  try {
    await Promise.all([work, ...watchers].map(loop))
  } finally {
    state.isOver = true
  }
}

/** Increments a counter by compare-and-set, until it succeeds. */
async function increment(t: Client, key: string): Promise<void> {
  let current = await t.get(at(key))
  for (let attempt = 0; attempt < 1000; attempt++) {
    const next = put(key, String(Number(current?.value ?? 0) + 1))
    const outcome = await t.commit({ checks: [{ at: at(key), version: current?.version ?? null }], ops: [next] })
    if (outcome.ok) return
    current = outcome.failed[0]?.current as typeof current
  }
  ok(false, 'An increment lost a thousand races')
}

/** Asserts that the log is dense, and that each seq was given to one caller. */
async function requireDense(t: Client, seqs: readonly number[]): Promise<void> {
  equal(
    seqs.toSorted((a, b) => a - b),
    upTo(seqs.length),
    'Every seq was given out once',
  )
  equal(
    await t.keys(LOG),
    upTo(seqs.length).map((n) => entryKey('log!', n)),
  )
}

/** Elsewhere, twelve of twelve claims with one token have succeeded. */
export const oneWinner: Case = defineCase(
  'DR-1201',
  'of concurrent commits that need a key to be absent one wins',
  async (t) => {
    for (const n of upTo(5)) {
      const outcomes = await atOnce(12, (i) =>
        t.commit({ checks: [absent(`k${n}`)], ops: [put(`k${n}`, String(i)), append('log!', 'x')] }),
      )
      equal(winners(outcomes), 1)
      const value = String(outcomes.findIndex((outcome) => outcome.ok))
      equal((await t.get(at(`k${n}`)))?.value, value, 'And it is the one that was told so')
    }
    equal((await t.all(LOG)).length, 5)
  },
)

/** No lost update. */
export const counters: Case = defineCase('DR-1202', 'compare-and-set of eight clients counts exactly', async (t) => {
  await atOnce(8, async () => {
    for (let i = 0; i < 10; i++) await increment(t, 'n')
  })
  equal((await t.get(at('n')))?.value, '80')
})

/** Seqs are assigned inside the commit. */
export const denseAppends: Case = defineCase('DR-1203', '64 concurrent writers append without gaps', async (t) => {
  const seqs = await atOnce(64, async (i) => (await t.write(append('log!', String(i)))).seqs[0]!)
  await requireDense(t, seqs)
  for (const entry of await t.all(LOG)) equal(seqs[Number(entry.value)], Number(entry.key.slice(-16)))
})

/** A conditional append goes to a known place. */
export const oneAppendPerNumber: Case = defineCase(
  'DR-1204',
  'of concurrent appends at the same end of a log one wins',
  async (t) => {
    for (let last = 0; last < 5; last++) {
      const outcomes = await atOnce(10, (i) =>
        t.commit({ checks: [ends('log!', last)], ops: [append('log!', String(i))] }),
      )
      equal(winners(outcomes), 1)
      for (const outcome of outcomes) {
        if (!outcome.ok) equal(outcome.failed, [{ check: 0, current: { last: last + 1 } }])
      }
    }
  },
)

/** No other request's commit comes between the commits of one request. */
export const contiguous: Case = defineCase('DR-1205', 'requests of several commits do not interleave', async (t) => {
  const requests = await atOnce(24, (i) =>
    t.send([
      { checks: [absent('lock')], ops: [put('lock', String(i)), append('log!', String(i))] },
      { ops: [append('log!', String(i))] },
      { ops: [remove('lock'), append('log!', String(i))] },
    ]),
  )
  for (const { outcomes } of requests) equal(winners(outcomes), 3, 'Nobody met another one inside')
  const values = (await t.all(LOG)).map((entry) => entry.value)
  equal(values.length, 72)
  for (let i = 0; i < values.length; i += 3) equal(values.slice(i, i + 3), Array(3).fill(values[i]))
})

/** All questions of a request are answered from one view. */
export const consistentView: Case = defineCase(
  'DR-1206',
  'a read never sees a unit in two places, or in none',
  async (t) => {
    const [here, there] = [at('n'), at('n', 'elsewhere')]
    await t.write(put(here, '5'), put(there, '5'))
    const move = (n: number) => t.write(put(here, String(n % 11)), put(there, String(10 - (n % 11))))
    const watch = async (): Promise<void> => {
      const [a, page, b] = await t.read({ get: here }, { range: { part: PART, ...LOG, limit: 1 } }, { get: there })
      equal(page.entries, [])
      equal(Number(a?.value) + Number(b?.value), 10, 'The sum')
    }
    await during(move, watch, watch, watch)
  },
)

/** A commit is visible whole. */
export const seenWhole: Case = defineCase('DR-1207', 'a range never shows half of a commit', async (t) => {
  const keys = upTo(12).map((n) => `k${n + 10}`)
  const write = (n: number) => t.write(...(n % 5 === 4 ? [removePart()] : keys.map((key) => put(key, String(n)))))
  const watch = async (): Promise<void> => {
    const { entries, more } = await t.page({ limit: 16 })
    ok(entries.length === 0 || more || entries.length === keys.length, `${entries.length} of ${keys.length} entries`)
    equal(new Set(entries.map((entry) => entry.version)).size, Math.min(entries.length, 1), 'Versions in one view')
  }
  await during(write, watch, watch)
})

/** Two commits that each depend on what the other changes cannot both succeed. */
export const noWriteSkew: Case = defineCase(
  'DR-1208',
  'of two commits that check what the other writes one wins',
  async (t) => {
    for (let n = 0; n < 10; n++) {
      const { version } = await t.write(put('a', 'on duty'), put('b', 'on duty'))
      const outcomes = await Promise.all([
        t.commit({ checks: [unchanged('a', version)], ops: [put('b', 'off')] }),
        t.commit({ checks: [unchanged('b', version)], ops: [put('a', 'off')] }),
      ])
      equal(winners(outcomes), 1)
    }
  },
)

/** Appends and the deletion of their log happen in some order, and the seqs agree with it. */
export const deletesAmongAppends: Case = defineCase(
  'DR-1209',
  'a log that is deleted among appends is always dense',
  async (t) => {
    const append8 = async (): Promise<void> => {
      for (let i = 0; i < 8; i++) await t.write(append('log!', 'x'), append('log!', 'x'))
    }
    const clear = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) await t.write(removePart())
    }
    const watch = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) {
        const { entries } = await t.page({ ...LOG, limit: 16 })
        equal(
          entries.map((entry) => entry.key),
          upTo(entries.length).map((n) => entryKey('log!', n)),
        )
      }
    }
    await Promise.all([append8(), append8(), clear(), watch(), append8()])
  },
)

/** Reads never go back in time. */
export const readsGoForward: Case = defineCase(
  'DR-1210',
  'concurrent readers never see an older state after a newer one',
  async (t) => {
    const write = (n: number) => t.write(put('n', String(n + 1)))
    const watcher = (): (() => Promise<void>) => {
      let seen = 0
      return async () => {
        const n = Number((await t.get(at('n')))?.value ?? 0)
        ok(n >= seen, `Saw ${seen}, then ${n}`)
        seen = n
      }
    }
    await during(write, watcher(), watcher())
  },
  {
    needs: ({ reads }) => reads === 'strict',
    otherwise: async (t) => {
      for (const n of upTo(20)) {
        await t.write(put('n', String(n)))
        equal((await t.get(at('n')))?.value, String(n), 'Own writes are seen')
      }
    },
  },
)

/** The same promises hold between processes. */
export const oneWinnerOfMany: Case = defineCase(
  'DR-1211',
  'of claims through several drivers one wins',
  async (t) => {
    const clients = [t, ...(await atOnce(3, () => t.reopen()))]
    for (const n of upTo(5)) {
      const outcomes = await atOnce(12, (i) =>
        clients[i % clients.length]!.commit({ checks: [absent(`k${n}`)], ops: [put(`k${n}`, String(i))] }),
      )
      equal(winners(outcomes), 1)
    }
  },
  MANY_WRITERS,
)

/** Counters and seqs, between processes. */
export const exactAmongMany: Case = defineCase(
  'DR-1212',
  'counts and seqs are exact through several drivers',
  async (t) => {
    const clients = [t, ...(await atOnce(3, () => t.reopen()))]
    const seqs = await atOnce(4, async (i) => {
      const mine: number[] = []
      for (let n = 0; n < 8; n++) {
        mine.push(...(await clients[i]!.write(append('log!', 'x'), append('log!', 'y'))).seqs)
        await increment(clients[i]!, 'n')
      }
      return mine
    })
    const all = await eventually(
      t,
      async () => (await t.keys(LOG)).length === 64 && (await t.get(at('n')))?.value === '32',
    )
    ok(all, '64 appends and 32 increments are there')
    await requireDense(t, seqs.flat())
  },
  MANY_WRITERS,
)
