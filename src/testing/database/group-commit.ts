/** Group commit: calls made together share a request. @module */
import { equal, ok, rejects } from '../assert.ts'
import { absent, append, at, atOnce, put, unchanged, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spyOn } from '../spy.ts'

/** A hundred calls, one round trip. */
export const oneRequest: Case = defineCase('DB-101', 'concurrent commits leave as one request', async (t) => {
  const spy = spyOn(t.driver, { limits: { requestCommits: 100 } })
  const db = t.db({ driver: spy.driver })
  await db.open()
  const outcomes = await atOnce(50, (i) => db.commit({ ops: [append(at('log!'), String(i))] }))
  equal(spy.commits.length, 1, 'Requests')
  equal(
    outcomes,
    upTo(50).map((seq) => ({ ok: true, seqs: [seq] })),
  )
})

/** Calls made while a batch is under way form the next batch. */
export const gatherInFlight: Case = defineCase(
  'DB-102',
  'commits made while one is in flight leave together',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { requestCommits: 100 } })
    const db = t.db({ driver: spy.driver })
    spy.hold()
    const first = db.commit({ ops: [append('log!', '0')] })
    await spy.arrived(1)
    const others: Promise<unknown>[] = []
    for (const n of upTo(20)) {
      others.push(db.commit({ ops: [append('log!', String(n))] }))
      await Promise.resolve()
    }
    spy.release()
    await Promise.all([first, ...others])
    equal(
      spy.commits.map((request) => request.commits.length),
      [1, 20],
    )
  },
)

/** Each call has its own checks and its own outcome. */
export const ownOutcome: Case = defineCase('DB-103', 'every call of a batch gets its own outcome', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  const id = t.id()
  const outcomes = await Promise.all([
    db.commit({ id, checks: [absent('k')], ops: [put('k', '1'), append('log!', 'a')] }),
    db.commit({ checks: [absent('k')], ops: [put('k', '2'), append('log!', 'b')] }),
    db.commitAll([
      { checks: [unchanged('k', id)], ops: [append('log!', 'c')] },
      { ops: [append('log!', 'd'), append('m!', 'e')] },
    ]),
    db.commit({}),
  ])
  equal(outcomes, [
    { ok: true, seqs: [1] },
    { ok: false, failed: [{ check: 0, current: { key: 'k', version: id, value: '1', expiresAt: null } }] },
    [
      { ok: true, seqs: [2] },
      { ok: true, seqs: [3, 1] },
    ],
    { ok: true, seqs: [] },
  ])
  equal(spy.commits.length, 1, 'Requests')
})

/** Commits take effect in the order of the calls. */
export const inCallOrder: Case = defineCase('DB-104', 'commits take effect in the order of the calls', async (t) => {
  const db = t.db({ driver: spyOn(t.driver, { limits: { requestCommits: 8 } }).driver })
  const calls: Promise<unknown>[] = []
  for (const n of upTo(60)) {
    calls.push(db.commit({ ops: [append('log!', String(n)), put('last', String(n))] }))
    if (n % 7 === 0) await Promise.resolve()
    if (n % 20 === 0) await db.read([{ get: at('last') }])
  }
  await Promise.all(calls)
  equal(
    (await t.all({ start: 'log!', end: 'log"' })).map((entry) => entry.value),
    upTo(60).map(String),
  )
  equal((await t.get(at('last')))?.value, '60')
})

/** Without group commit, each call is one request, still in order. */
export const ungrouped: Case = defineCase(
  'DB-105',
  'without group commit every call is a request of its own',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver, groupCommit: false })
    const outcomes = await atOnce(10, (i) => db.commit({ ops: [append('log!', String(i))] }))
    equal(
      spy.commits.map((request) => request.commits.length),
      upTo(10).map(() => 1),
    )
    equal(
      outcomes,
      upTo(10).map((seq) => ({ ok: true, seqs: [seq] })),
    )
    await atOnce(3, () => db.read([{ get: at('k') }]))
    equal(spy.reads.length, 3)
  },
)

/** The commits of one call leave together, even without group commit. */
export const commitAllTogether: Case = defineCase('DB-106', 'commitAll is one request in either mode', async (t) => {
  for (const groupCommit of [true, false]) {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver, groupCommit })
    await db.commitAll(upTo(4).map((n) => ({ ops: [append('log!', String(n))] })))
    equal(
      spy.commits.map((request) => request.commits.length),
      [4],
    )
  }
})

/** Ids make requests repeatable and versions unique. */
export const uniqueIds: Case = defineCase(
  'DB-107',
  'every request and every commit has an id of its own',
  async (t) => {
    const spy = spyOn(t.driver, { limits: { requestCommits: 8 } })
    const [one, two] = [t.db({ driver: spy.driver }), t.db({ driver: spy.driver })]
    await atOnce(40, (i) => (i % 2 ? one : two).commit({ ops: [append('log!', 'x')] }))
    const ids = spy.commits.flatMap((request) => [request.id, ...request.commits.map((commit) => commit.id)])
    equal(ids.length, spy.commits.length + 40)
    equal(new Set(ids).size, ids.length)
    ok(
      ids.every((id) => /^[ -~]{1,64}$/.test(id)),
      'Ids are short and of printable ASCII',
    )
  },
)

/** A call may choose the id, and with it the version, of its commit. */
export const givenId: Case = defineCase('DB-108', 'a commit with an id writes under that version', async (t) => {
  const id = t.id()
  await t.db().commit({ id, ops: [put('k', 'v')] })
  equal((await t.get(at('k')))?.version, id)
})

/** Reads share round trips, too. */
export const readsTogether: Case = defineCase(
  'DB-109',
  'concurrent reads leave as one request, and get their own answers',
  async (t) => {
    await t.write(...upTo(10).map((n) => put(`k${n}`, String(n))))
    const spy = spyOn(t.driver, { limits: { requestReads: 100 } })
    const db = t.db({ driver: spy.driver })
    await db.open()
    const answers = await atOnce(10, (i) => db.read([{ get: at(`k${i + 1}`) }, { get: at('nothing') }]))
    equal(spy.reads.length, 1, 'Requests')
    equal(
      answers.map(([entry, nothing]) => [entry?.value, nothing]),
      upTo(10).map((n) => [String(n), null]),
    )
  },
)

/** A read after an answered write sees that write. */
export const readAfterWrite: Case = defineCase('DB-110', 'a read after a commit sees it', async (t) => {
  const db = t.db()
  for (const n of upTo(10)) {
    await db.commit({ ops: [put('k', String(n))] })
    equal((await db.read([{ get: at('k') }]))[0]?.value, String(n))
  }
})

/** A fault affects one request; the next one is independent. */
export const faultOfOneBatch: Case = defineCase(
  'DB-111',
  'a failed request fails its own calls and no others',
  async (t) => {
    const spy = spyOn(t.driver)
    const db = t.db({ driver: spy.driver })
    await db.open()
    spy.fail('commit', new Error('The cable was cut'))
    const lost = [db.commit({ ops: [append('log!', 'a')] }), db.commit({ ops: [append('log!', 'b')] })]
    for (const call of lost.map((it) => rejects(it, 'BACKEND'))) await call
    equal(await db.commit({ ops: [append('log!', 'c')] }), { ok: true, seqs: [1] })
    equal(await db.read([{ get: at('k') }]), [null])
  },
)

/** Without commits there is no request. */
export const nothingToCommit: Case = defineCase('DB-112', 'an empty list of commits does no I/O', async (t) => {
  const spy = spyOn(t.driver)
  const db = t.db({ driver: spy.driver })
  equal(await db.commitAll([]), [])
  equal([spy.commits.length, spy.opens], [0, 0])
})

/** The durability level comes from the call, or else from the database. */
export const durabilityLevels: Case = defineCase(
  'DB-113',
  'every commit carries its level of durability',
  async (t) => {
    const spy = spyOn(t.driver, { durability: 'strict' })
    await t.db({ driver: spy.driver }).commit({ ops: [put('a', '1')] })
    const db = t.db({ driver: spy.driver, durability: 'relaxed' })
    await Promise.all([
      db.commit({ ops: [put('b', '1')] }),
      db.commit({ ops: [put('c', '1')] }, { durability: 'strict' }),
    ])
    equal(
      spy.commits.flatMap((request) => request.commits.map((commit) => commit.durability)),
      ['strict', 'relaxed', 'strict'],
    )
  },
)

/** As the driver itself declares it. */
export const strictWhereDeclared: Case = defineCase(
  'DB-114',
  'strict durability works if the backend has it, and is refused otherwise',
  async (t) => {
    equal((await t.db({ durability: 'strict' }).commit({ ops: [put('a', '1')] })).ok, true)
    equal((await t.db().commit({ ops: [put('b', '1')] }, { durability: 'strict' })).ok, true)
    equal(await t.keys(), ['a', 'b'])
  },
  {
    needs: ({ durability }) => durability === 'strict',
    async otherwise(t) {
      await rejects((async () => t.db({ durability: 'strict' }))(), 'UNSUPPORTED')
      await rejects(t.db().commit({ ops: [put('never', '1')] }, { durability: 'strict' }), 'UNSUPPORTED')
      equal(await t.keys(), [])
    },
  },
)

/** A missing capability is refused up front, never replaced by a weaker one. */
export const noSilentDowngrade: Case = defineCase(
  'DB-115',
  'strict durability over a weaker backend is refused before any I/O',
  async (t) => {
    for (const durability of ['none', 'relaxed'] as const) {
      const spy = spyOn(t.driver, { durability })
      await rejects((async () => t.db({ driver: spy.driver, durability: 'strict' }))(), 'UNSUPPORTED')
      for (const options of [{}, { durability: 'relaxed' as const }]) {
        const db = t.db({ driver: spy.driver, ...options })
        const strict = { durability: 'strict' as const }
        await rejects(db.commit({ ops: [put('never', '1')] }, strict), 'UNSUPPORTED')
        await rejects(db.commitAll([{ ops: [put('never', '1')] }], strict), 'UNSUPPORTED')
      }
      equal([spy.commits.length, spy.reads.length, spy.opens], [0, 0, 0])
    }
    equal(await t.keys(), [])
  },
)

/** A call without a level gets the strongest one. */
export const strongestByDefault: Case = defineCase(
  'DB-116',
  'a commit without a durability level gets the strongest that the backend has',
  async (t) => {
    for (const [durability, levels] of [
      ['strict', ['strict', 'relaxed']],
      ['relaxed', ['relaxed', 'relaxed']],
    ] as const) {
      const spy = spyOn(t.driver, { durability })
      const db = t.db({ driver: spy.driver })
      await db.commit({ ops: [put('a', '1')] })
      await db.commit({ ops: [put('b', '1')] }, { durability: 'relaxed' })
      equal(
        spy.commits.flatMap((request) => request.commits.map((commit) => commit.durability)),
        levels,
      )
    }
    const { driver } = spyOn(t.driver, { durability: 'none' })
    equal((await t.db({ driver }).commit({ ops: [put('c', '1')] })).ok, true)
  },
)
